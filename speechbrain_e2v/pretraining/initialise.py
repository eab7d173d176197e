"""Where a pre-training run starts from."""

from pathlib import Path

import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_e2v.pretraining.start_from_published import (
    start_from_published,
)
from speechbrain_e2v.published.state_dict_check import check_state


def initialise(student, teacher, source):
    """Start student and teacher from earlier weights.

    Arguments
    ---------
    student : Student
    teacher : EMATeacher
    source : str or Path
        The output folder of a pre-training run (student, decoder and teacher
        of its newest checkpoint), an encoder folder, or a published
        checkpoint (see `start_from_published`).

    Returns
    -------
    str
        What was taken, in words.

    Raises
    ------
    FileNotFoundError
        When there is no such thing.
    ValueError
        When its sizes are not the student's.

    Example
    -------
    >>> initialise(None, None, "no/such/folder")
    Traceback (most recent call last):
    ...
    speechbrain_e2v.published.hub.SourceNotFound: there is no file or ...
    """
    saved = Path(source) / "save"
    newest = Checkpointer(saved).find_checkpoint() if saved.is_dir() else None
    if newest is None:
        return start_from_published(student, teacher, source)
    for name, module in (("student", student), ("teacher", teacher)):
        path = newest.paramfiles[name]
        state = torch.load(path, map_location="cpu", weights_only=True)
        check_state(module, state, path)
        module.load_state_dict(state)
    return f"student and teacher of {newest.path}"
