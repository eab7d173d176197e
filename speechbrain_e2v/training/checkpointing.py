"""Checkpoints that are either complete or not there."""

import logging
import os
import shutil

from speechbrain.utils.checkpoints import (
    Checkpoint,
    Checkpointer,
    ckpt_recency,
)
from speechbrain.utils.distributed import ddp_barrier, if_main_process

UNFINISHED = "unfinished-"
"""Prefix of folders being written or deleted. Recovery ignores them, since it
looks for names that begin with CKPT."""


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's Checkpointer, safe against a kill at any moment.

    The stock class writes the meta file first, into the final folder: a
    process killed while saving leaves a folder that recovery takes for the
    newest checkpoint and fails on. Here everything is written and flushed under
    another name and renamed at the end; deletion renames first, too.

    Arguments
    ---------
    checkpoints_dir, recoverables, custom_load_hooks, custom_save_hooks,
    allow_partial_load
        As for speechbrain.utils.checkpoints.Checkpointer.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmp_path")
    >>> model = torch.nn.Linear(1, 1)
    >>> checkpointer = AtomicCheckpointer(folder, {"model": model})
    >>> for _ in range(3):
    ...     checkpointer.save_and_keep_only(num_to_keep=2)
    >>> len(list(folder.iterdir()))
    2
    """

    def save_checkpoint(
        self, meta=None, end_of_epoch=True, name=None, verbosity=logging.INFO
    ):
        """Save all recoverables; see the stock method for the arguments.

        Returns
        -------
        Checkpoint
            Of the final folder; None on other ranks than the main one.
        """
        written = super().save_checkpoint(
            meta=dict(meta or {}),
            end_of_epoch=end_of_epoch,
            name=name,
            verbosity=verbosity,
        )
        ddp_barrier()  # savers may run on every rank
        published = None if written is None else self._publish(written)
        ddp_barrier()
        return published

    def save_and_keep_only(
        self,
        meta=None,
        end_of_epoch=True,
        name=None,
        num_to_keep=1,
        keep_recent=True,
        importance_keys=(),
        max_keys=(),
        min_keys=(),
        ckpt_predicate=None,
        verbosity=logging.INFO,
    ):
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
        num_to_keep=1,
        min_keys=None,
        max_keys=None,
        importance_keys=(ckpt_recency,),
        ckpt_predicate=None,
        verbosity=logging.INFO,
    ):
        """Delete the least important checkpoints, whole or not at all.

        Arguments as for the stock method, which removes files one by one:
        after a kill, half a folder could be chosen by ``max_key``.
        """
        if num_to_keep < 0:
            raise ValueError(f"num_to_keep is {num_to_keep}: give 0 or more.")
        orders = [
            *({"min_key": key} for key in min_keys or ()),
            *({"max_key": key} for key in max_keys or ()),
            *({"importance_key": key} for key in importance_keys),
        ]
        superfluous, kept = set(), set()
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

    def remove_leftovers(self):
        """Remove what a killed run left unfinished.

        Only for the one process that trains into this folder: a folder that
        another process is writing looks the same.

        Returns
        -------
        int
            How many folders were removed; 0 on other ranks than the main one.
        """
        if not if_main_process():
            return 0
        leftovers = sorted(self.checkpoints_dir.glob(f"{UNFINISHED}*"))
        for path in leftovers:
            shutil.rmtree(path)
        return len(leftovers)

    def _new_checkpoint_dirpath(self):
        return _unfinished(super()._new_checkpoint_dirpath())

    def _custom_checkpoint_dirpath(self, name):
        return _unfinished(super()._custom_checkpoint_dirpath(name))

    def _publish(self, written):
        for path in written.path.iterdir():
            _flush(path)
        _flush(written.path)
        final = written.path.with_name(
            written.path.name.removeprefix(UNFINISHED)
        )
        if final.exists():  # a checkpoint with a name of its own, again
            _discard(final)
        os.rename(written.path, final)
        _flush(self.checkpoints_dir)
        return Checkpoint(
            final,
            written.meta,
            {key: final / p.name for key, p in written.paramfiles.items()},
        )


def _unfinished(path):
    unfinished = path.with_name(UNFINISHED + path.name)
    if unfinished.exists():
        shutil.rmtree(unfinished)
    return unfinished


def _discard(path):
    doomed = path.with_name(f"{UNFINISHED}deleted-{path.name}")
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def _flush(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
