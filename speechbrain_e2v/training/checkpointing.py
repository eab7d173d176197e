"""Checkpoints that are either complete or not there."""

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from speechbrain.utils.checkpoints import (
    METAFNAME,
    Checkpoint,
    Checkpointer,
    ckpt_recency,
)
from speechbrain.utils.distributed import (
    ddp_barrier,
    ddp_broadcast,
    if_main_process,
)
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.files.atomic import flush, named_errors
from speechbrain_e2v.files.digest import DIGESTS, damage_in, write_digests

logger = get_logger(__name__)

UNFINISHED = "unfinished-"
"""Prefix of folders being written or deleted. Recovery ignores them, since it
looks for names that begin with CKPT."""


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, safe against kills and bad disks.

    The stock class writes the meta file first, into the final folder: a
    process killed while saving leaves a folder that recovery takes for the
    newest checkpoint and fails on. Here everything is written and flushed under
    another name and renamed at the end; deletion renames first, too. What is
    loaded is first compared with the digests that were written with it; a
    damaged checkpoint is named, and the best of the others used.

    >>> import torch
    >>> folder = getfixture("tmp_path")
    >>> model = torch.nn.Linear(1, 1)
    >>> checkpointer = AtomicCheckpointer(folder, {"model": model})
    >>> for _ in range(3):
    ...     checkpointer.save_and_keep_only(num_to_keep=2)
    >>> len(list(folder.iterdir()))
    2
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._damaged: dict[Path, str] = {}

    def list_checkpoints(self) -> list[Checkpoint]:
        """List checkpoints, but those that are known to be damaged."""
        found = []
        for path in sorted(self.checkpoints_dir.glob("CKPT*")):
            if path.is_dir() and path not in self._damaged:
                try:
                    found += self._construct_checkpoint_objects([path])
                    problem = _damage(path, found[-1].meta)
                except (OSError, ValueError, yaml.YAMLError):
                    problem = f"{METAFNAME} cannot be read"
                if problem:
                    self._leave_out(path, problem)
        return [ckpt for ckpt in found if ckpt.path not in self._damaged]

    def find_whole(self, **order: Any) -> Checkpoint | None:
        """The best checkpoint, by `find_checkpoints`' order, that is whole.

        None where there is no checkpoint; ValueError when all are damaged.
        """
        outcome: Checkpoint | ValueError | None = None
        if if_main_process():  # reads every byte: once is enough
            try:
                outcome = self._find_whole(order)
            except ValueError as error:
                outcome = error
        outcome = ddp_broadcast(outcome)
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    def recover_if_possible(
        self,
        importance_key: Callable[[Checkpoint], Any] | None = None,
        max_key: str | None = None,
        min_key: str | None = None,
        ckpt_predicate: Callable[[Checkpoint], bool] | None = None,
    ) -> Checkpoint | None:
        """Load the best checkpoint that is whole, if there is any."""
        chosen = self.find_whole(
            importance_key=importance_key,
            max_key=max_key,
            min_key=min_key,
            ckpt_predicate=ckpt_predicate,
        )
        if chosen is not None:
            super().load_checkpoint(chosen)
        return chosen

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Load a checkpoint; ValueError when it is damaged."""
        if problem := _damage(checkpoint.path, checkpoint.meta, all_files=True):
            raise ValueError(f"{checkpoint.path} is damaged: {problem}.")
        super().load_checkpoint(checkpoint)

    def save_checkpoint(
        self,
        meta: Mapping[str, Any] | None = None,
        end_of_epoch: bool = True,
        name: str | None = None,
        verbosity: int = logging.INFO,
    ) -> Checkpoint | None:
        """Save all recoverables; None on other ranks than the main one."""
        try:
            with named_errors(self.checkpoints_dir):
                written = super().save_checkpoint(
                    meta=dict(meta or {}),
                    end_of_epoch=end_of_epoch,
                    name=name,
                    verbosity=verbosity,
                )
                ddp_barrier()  # savers may run on every rank
                published = None if written is None else self._publish(written)
        except BaseException:
            self.remove_leftovers()  # also to have room again
            raise
        ddp_barrier()
        return published

    def save_and_keep_only(
        self,
        meta: Mapping[str, Any] | None = None,
        end_of_epoch: bool = True,
        name: str | None = None,
        num_to_keep: int = 1,
        keep_recent: bool = True,
        importance_keys: Iterable[Callable[[Checkpoint], Any]] = (),
        max_keys: Iterable[str] = (),
        min_keys: Iterable[str] = (),
        ckpt_predicate: Callable[[Checkpoint], bool] | None = None,
        verbosity: int = logging.INFO,
    ) -> None:
        """Save, then delete the least important checkpoints.

        The stock method appends to its own default list, so that every save
        makes all later deletions scan the folder once more.
        """
        super().save_and_keep_only(
            meta=meta,
            end_of_epoch=end_of_epoch,
            name=name,
            num_to_keep=num_to_keep,
            keep_recent=keep_recent,
            importance_keys=list(importance_keys),
            max_keys=list(max_keys),
            min_keys=list(min_keys),
            ckpt_predicate=ckpt_predicate,
            verbosity=verbosity,
        )

    def delete_checkpoints(
        self,
        *,
        num_to_keep: int = 1,
        min_keys: Iterable[str] | None = None,
        max_keys: Iterable[str] | None = None,
        importance_keys: Iterable[Callable[[Checkpoint], Any]] = (
            ckpt_recency,
        ),
        ckpt_predicate: Callable[[Checkpoint], bool] | None = None,
        verbosity: int = logging.INFO,
    ) -> None:
        """Delete the least important checkpoints, whole or not at all.

        The stock method removes files one by one: after a kill, half a folder
        could be chosen by ``max_key``.
        """
        if num_to_keep < 0:
            raise ValueError(f"num_to_keep is {num_to_keep}: give 0 or more.")
        orders: list[dict[str, Any]] = [
            *({"min_key": key} for key in min_keys or ()),
            *({"max_key": key} for key in max_keys or ()),
            *({"importance_key": key} for key in importance_keys),
        ]
        superfluous: set[Path] = set()
        kept: set[Path] = set()
        for order in orders:
            ranked = self.find_checkpoints(
                ckpt_predicate=ckpt_predicate, **order
            )
            superfluous.update(ckpt.path for ckpt in ranked)
            kept.update(ckpt.path for ckpt in ranked[:num_to_keep])
        ddp_barrier()  # all ranks have read the folder before it changes
        if if_main_process():
            for path in sorted(superfluous - kept):
                _discard(path)
                logging.getLogger(__name__).log(verbosity, "Deleted %s", path)
        ddp_barrier()

    def remove_leftovers(self) -> int:
        """Remove what a killed run left unfinished; how many folders.

        Only for the one run that trains into this folder: what another run is
        writing looks the same. Other ranks than the main one do nothing.
        """
        if not if_main_process():
            return 0
        leftovers = sorted(self.checkpoints_dir.glob(f"{UNFINISHED}*"))
        for path in leftovers:
            shutil.rmtree(path)
        return len(leftovers)

    def _new_checkpoint_dirpath(self) -> Path:
        return _unfinished(super()._new_checkpoint_dirpath())

    def _custom_checkpoint_dirpath(self, name: str) -> Path:
        return _unfinished(super()._custom_checkpoint_dirpath(name))

    def _find_whole(self, order: dict[str, Any]) -> Checkpoint | None:
        for ckpt in self.find_checkpoints(**order):
            problem = _damage(ckpt.path, ckpt.meta, all_files=True)
            if problem is None:
                if self._damaged:
                    logger.warning("Going on from %s.", ckpt.path)
                return ckpt
            self._leave_out(ckpt.path, problem)
        if self._damaged:
            raise ValueError(
                f"{self.checkpoints_dir} has no checkpoint that is whole: "
                + "; ".join(f"{k.name}: {v}" for k, v in self._damaged.items())
                + ". Restore one from a copy, or remove them to begin anew."
            )
        return None

    def _leave_out(self, path: Path, problem: str) -> None:
        self._damaged[path] = problem
        logger.warning(
            "%s is damaged and left out: %s. Remove it when you have looked.",
            path,
            problem,
        )

    def _publish(self, written: Checkpoint) -> Checkpoint:
        write_digests(written.path)
        for path in written.path.iterdir():
            flush(path)
        flush(written.path)
        final = written.path.with_name(
            written.path.name.removeprefix(UNFINISHED)
        )
        if final.exists():  # a checkpoint with a name of its own, again
            _discard(final)
        os.rename(written.path, final)
        self._damaged.pop(final, None)
        flush(self.checkpoints_dir)
        return Checkpoint(
            final,
            written.meta,
            {key: final / p.name for key, p in written.paramfiles.items()},
        )


def _damage(path: Path, meta: Any, all_files: bool = False) -> str | None:
    """What is wrong with a checkpoint: its meta file, or any file."""
    try:
        if problem := damage_in(path, *(() if all_files else (METAFNAME,))):
            return problem
    except FileNotFoundError:  # of a version that wrote none
        if all_files:
            logger.warning("%s has no %s: not checked.", path, DIGESTS)
    if not isinstance(meta, dict) or not isinstance(
        meta.get("unixtime"), float | int
    ):
        return f"{METAFNAME} has no time"
    return None


def _unfinished(path: Path) -> Path:
    unfinished = path.with_name(UNFINISHED + path.name)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    return unfinished


def _discard(path: Path) -> None:
    doomed = path.with_name(f"{UNFINISHED}deleted-{path.name}")
    os.rename(path, doomed)
    shutil.rmtree(doomed)
