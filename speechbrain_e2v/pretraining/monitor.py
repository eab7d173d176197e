"""Progress bar, health log and collapse guard of a pre-training run."""

import time

import torch
from speechbrain.utils.distributed import if_main_process
from tqdm import tqdm

from speechbrain_e2v.pretraining.health import (
    check_collapse,
    feature_health,
    teacher_distance,
    utterance_spread,
)


class TrainingMonitor:
    """Watches a DistillationBrain, update by update.

    Losses are those of the whole update; statistics of features are those of
    each rank's last micro-batch. The main process writes.

    Arguments
    ---------
    log : HealthLog
    thresholds : CollapseThresholds
    total_updates : int
    interval : int
        Updates between two lines of the log.
    progress : bool
        Whether to draw a progress bar.

    Example
    -------
    >>> from speechbrain_e2v.pretraining.health import CollapseThresholds
    >>> from speechbrain_e2v.pretraining.health_log import HealthLog
    >>> log = HealthLog(getfixture("tmp_path") / "health.jsonl")
    >>> monitor = TrainingMonitor(log, CollapseThresholds(), 100, 10, False)
    >>> monitor.interval
    10
    """

    def __init__(self, log, thresholds, total_updates, interval, progress=True):
        self.log = log
        self.thresholds = thresholds
        self.total_updates = total_updates
        self.interval = interval
        self.progress = progress
        self._bar = None

    def start(self, update):
        """Begin at an update: 0, or the one a run resumes from."""
        if if_main_process():
            self.log.resume(update)
        self._bar = tqdm(
            total=self.total_updates,
            initial=update,
            unit="update",
            dynamic_ncols=True,
            disable=not (self.progress and if_main_process()),
        )
        self._forget()

    def on_update(self, brain):
        """Take note of an update just made.

        Raises
        ------
        CollapseError
            When features, targets or predictions have died.
        """
        self._seconds += brain.update_seconds
        self._updates += 1
        self._bar.update()
        if brain.optimizer_step % self.interval or brain.last is None:
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
        self._forget()

    def close(self):
        """End the progress bar."""
        if self._bar is not None:
            self._bar.close()

    def _forget(self):
        self._began = time.perf_counter()
        self._seconds = 0.0
        self._updates = 0

    def _figures(self, brain):
        last, hparams = brain.last, brain.hparams
        frame, utterance = brain.mean_losses()
        hours = torch.tensor(self._seconds / 3600, device=brain.device)
        hours = brain.sum_over_ranks(hours).item()
        elapsed = time.perf_counter() - self._began
        kinds = ("conv", "encoder", "prediction", "target")
        return {
            "loss": hparams.frame_loss_weight * frame
            + hparams.utterance_loss_weight * utterance,
            "loss_frame": frame,
            "loss_utterance": utterance,
            "lr": brain.learning_rate,
            "tau": brain.ema_decay,
            "grad_norm": brain.grad_norm,
            "masked_share": last["masked_share"],
            "speech_hours_per_update": hours / self._updates,
            "speech_hours_per_hour": hours / (elapsed / 3600),
            **feature_health(**{k: last[k].flatten(0, 1) for k in kinds}),
            "spread_utterance_target": utterance_spread(
                last["utterance_target"]
            ),
            "teacher_distance": teacher_distance(
                hparams.student.encoder.context.parameters(),
                hparams.teacher.context.parameters(),
            ),
            "skipped_files": brain.skipped_files,
            "skipped_updates": brain.skipped_steps,
        }
