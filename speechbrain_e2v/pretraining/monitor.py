"""What a pre-training run says: progress bar, logs, picture, collapse."""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.train_logger import FileTrainLogger

from speechbrain_e2v.console import ProgressBar, progress_bar
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.pretraining.health import (
    CollapseThresholds,
    check_collapse,
)
from speechbrain_e2v.pretraining.health_log import VALID, HealthLog, plot_health

if TYPE_CHECKING:
    from speechbrain_e2v.pretraining.pretraining_brain import PretrainingBrain


class TrainingMonitor:
    """Watches a PretrainingBrain, update by update.

    Losses are those of the whole update; statistics of features are those of
    each rank's last micro-batch. The main process writes `folder`'s
    ``health.jsonl`` (a line every `interval` updates), ``health.png`` and, by
    `train_logger`, a line for each epoch.

    >>> TrainingMonitor(getfixture("tmp_path"), 100, interval=10).interval
    10
    """

    def __init__(
        self,
        folder: str | Path,
        total_updates: int,
        interval: int,
        thresholds: CollapseThresholds | None = None,
        train_logger: FileTrainLogger | None = None,
        progress: bool = False,
    ):
        self.log = HealthLog(Path(folder) / "health.jsonl")
        self.total_updates = total_updates
        self.interval = interval
        self.thresholds = thresholds or CollapseThresholds()
        self.train_logger = train_logger
        self.progress = progress
        self._bar: ProgressBar | None = None
        self._began = self._stopped = 0.0

    def start(self, update: int) -> None:
        """Begin at an update: 0, or the one a run resumes from."""
        if if_main_process():
            self.log.resume(update)
            self._forget_epochs(update + 1)
            self._draw()  # a killed run could not
        self._bar = progress_bar(
            total=self.total_updates,
            initial=update,
            unit="update",
            dynamic_ncols=True,
            disable=not (self.progress and if_main_process()),
        )
        self._restart()

    def on_update(self, brain: "PretrainingBrain") -> None:
        """Take note of an update just made; CollapseError when all is dead."""
        if self._bar is None:  # fit_batch outside of fit
            return
        self._seconds += brain.update_seconds
        self._updates += 1
        self._bar.update()
        if brain.optimizer_step % self.interval:
            return
        figures = self._figures(brain)
        if if_main_process():
            self.log.append(brain.optimizer_step, figures)
        self._bar.set_postfix(
            loss=f"{figures['loss']:.3f}",
            rank=f"{figures['rank_target']:.0f}",
            speed=f"{figures['speech_hours_per_hour']:.1f}x",
        )
        check_collapse(figures, brain.optimizer_step, self.thresholds)
        self._restart()

    def on_validation_start(self) -> None:
        """Stop the clock: validation is no time spent on training."""
        self._stopped = time.perf_counter()

    def on_epoch(
        self,
        epoch: int,
        brain: "PretrainingBrain",
        train_loss: float,
        valid: Mapping[str, float] | None,
    ) -> None:
        """Write the line of an epoch and what validation found at its end.

        On every rank: SpeechBrain's loggers wait for each other.
        """
        update = brain.optimizer_step
        if valid is not None:
            self._began += time.perf_counter() - self._stopped
        if if_main_process():
            if valid is not None:
                named = {VALID + name: value for name, value in valid.items()}
                self.log.add(update, named)
            # A run that resumes at the end of an epoch ends it twice.
            self._forget_epochs(update)
        if self.train_logger is not None:
            self.train_logger.log_stats(
                {"epoch": epoch, "update": update} | _learning_rate(brain),
                train_stats={"loss": float(train_loss)},
                valid_stats=None if valid is None else dict(valid),
            )

    def close(self) -> None:
        """End the progress bar and draw the log."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if if_main_process():
            self._draw()

    def _draw(self) -> None:
        path = self.log.path
        if path.is_file() and path.stat().st_size:
            plot_health(path, path.with_suffix(".png"), self.thresholds)

    def _restart(self) -> None:
        self._began = time.perf_counter()
        self._seconds = 0.0
        self._updates = 0

    def _forget_epochs(self, update: int) -> None:
        """Drop lines of epochs that end at an update or later."""
        path = Path(getattr(self.train_logger, "save_file", None) or "")
        if not path.is_file():
            return
        text = path.read_text("utf-8")
        kept = []
        for line in text.splitlines(keepends=True):
            found = re.search(r"\bupdate: (\d+)", line)
            if found is None or int(found[1]) < update:
                kept.append(line)
        if "".join(kept) != text:
            replace_text(path, "".join(kept))

    def _figures(self, brain: "PretrainingBrain") -> dict[str, float]:
        hours = torch.tensor(self._seconds / 3600, device=brain.device)
        hours_heard = brain.sum_over_ranks(hours).item()
        elapsed = time.perf_counter() - self._began
        return {
            **brain.mean_losses(),
            **_learning_rate(brain),
            "grad_norm": brain.grad_norm,
            "speech_hours_per_update": hours_heard / self._updates,
            "speech_hours_per_hour": hours_heard / (elapsed / 3600),
            **brain.figures.health_of_batch(),
            **brain.extra_figures(),
            "skipped_files": brain.skipped_files,
            "skipped_updates": brain.skipped_steps,
        }


def _learning_rate(brain: "PretrainingBrain") -> dict[str, float]:
    rate = brain.learning_rate  # None without a schedule, and before a step
    return {} if rate is None else {"lr": rate}
