"""Where a pre-training run starts from."""

from pathlib import Path

import torch
from speechbrain.utils.checkpoints import Checkpointer

from speechbrain_e2v.checkpoints.encoder_folder import (
    SIZES,
    check_state,
    load_encoder,
)


def initialise(student, teacher, source):
    """Start student and teacher from earlier weights.

    Arguments
    ---------
    student : Student
    teacher : EMATeacher
    source : str or Path
        An encoder folder (the decoder stays fresh and the teacher becomes a
        copy of the student), or the output folder of a pre-training run
        (student, decoder and teacher of its newest checkpoint).

    Returns
    -------
    str
        What was taken, in words.

    Raises
    ------
    ValueError
        When `source` is neither, or its sizes are not the student's.

    Example
    -------
    >>> initialise(None, None, "no/such/folder")
    Traceback (most recent call last):
    ValueError: initialise_from: there is no folder no/such/folder
    """
    source = Path(source)
    if not source.is_dir():
        raise ValueError(f"initialise_from: there is no folder {source}")
    if (source / SIZES).is_file():
        state = load_encoder(source).state_dict()
        check_state(student.encoder, state, source)
        student.encoder.load_state_dict(state)
        teacher.context.load_state_dict(student.encoder.context.state_dict())
        return f"encoder of {source}; fresh decoder; teacher = student"
    newest = Checkpointer(source / "save").find_checkpoint()
    if newest is None:
        raise ValueError(
            f"initialise_from: {source} has neither {SIZES} nor a checkpoint "
            "in save/: give an encoder folder or the output folder of a run."
        )
    for name, module in (("student", student), ("teacher", teacher)):
        path = newest.paramfiles[name]
        state = torch.load(path, map_location="cpu", weights_only=True)
        check_state(module, state, path)
        module.load_state_dict(state)
    return f"student and teacher of {newest.path}"
