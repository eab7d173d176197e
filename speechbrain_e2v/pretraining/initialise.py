"""Where a pre-training run starts from."""

from pathlib import Path

import torch
from speechbrain.utils.logger import get_logger

from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.pretraining.data2vec1_student import Data2vec1Student
from speechbrain_e2v.pretraining.teacher import AnyStudent, EMATeacher
from speechbrain_e2v.published.load import read_pretrained
from speechbrain_e2v.published.sizes import kind_of
from speechbrain_e2v.published.state_dict_check import check_state
from speechbrain_e2v.training.checkpointing import AtomicCheckpointer

logger = get_logger(__name__)


def initialise(
    student: AnyStudent, teacher: EMATeacher, source: str | Path | None
) -> str:
    """Start student and teacher from earlier weights; says what was taken.

    The answer ends in the SHA-256 of the file.

    `source` is None for a cold start, the output folder of a pre-training run
    (student, decoder and teacher of its newest checkpoint), or anything that
    `load_pretrained` accepts. FileNotFoundError when there is no such thing,
    ValueError with every tensor when sizes differ; nothing has changed then.

    >>> initialise(None, None, "no/such/folder")
    Traceback (most recent call last):
    ...
    speechbrain_e2v.published.hub.SourceNotFound: there is no file or ...
    """
    if source is None:
        return "random weights"
    taken = _from_run(student, teacher, Path(source) / "save")
    if taken is None:
        taken = _from_published(student, teacher, source)
    logger.info("Initialised from %s", taken)
    return taken


def _from_run(
    student: AnyStudent, teacher: EMATeacher, saved: Path
) -> str | None:
    newest = AtomicCheckpointer(saved).find_whole() if saved.is_dir() else None
    if newest is None:
        return None
    if not {"student", "teacher"} <= newest.paramfiles.keys():
        raise ValueError(
            f"{newest.path} holds no student and teacher: give the output "
            "folder of a pre-training run, or an encoder folder"
        )
    states = {}
    for name, module in (("student", student), ("teacher", teacher)):
        path = newest.paramfiles[name]
        states[name] = torch.load(path, map_location="cpu", weights_only=True)
        check_state(module, states[name], path)
    student.load_state_dict(states["student"])
    teacher.load_state_dict(states["teacher"])
    digest = file_sha256(newest.paramfiles["student"])
    return f"student and teacher of {newest.path}; SHA-256 {digest}"


def _from_published(
    student: AnyStudent, teacher: EMATeacher, source: str | Path
) -> str:
    """Extra tokens stay fresh where the source has none, as in emotion2vec's
    own pre-training from data2vec 2.0. The teacher starts from the source's
    `_ema` when it has one, else as a copy of the student."""
    model = read_pretrained(source)
    encoder = student.encoder
    if type(model.encoder) is not type(encoder):
        raise ValueError(
            f"{source} is a {kind_of(model.encoder)} encoder, but this yaml "
            f"trains {kind_of(encoder)}: choose the other yaml or source."
        )
    tokens = "context.extra_tokens"
    state = dict(model.encoder.state_dict())
    fresh = not state[tokens].numel() and encoder.context.num_extra_tokens
    if fresh:
        state[tokens] = encoder.context.extra_tokens.detach()
    check_state(encoder, state, source)
    context = model.teacher
    if context is not None:
        context = dict(context)
        if fresh:
            context["extra_tokens"] = state[tokens]
        check_state(teacher.context, context, f"the teacher of {source}")
    if model.decoder is not None:
        check_state(student.decoder, model.decoder, f"the decoder of {source}")
    taken = [f"encoder of {source}"]
    encoder.load_state_dict(state)
    if fresh:
        taken.append("fresh extra tokens (it has none)")
    if model.decoder is None:
        taken.append("fresh decoder")
    else:
        student.decoder.load_state_dict(model.decoder)
        taken.append("its decoder")
    if isinstance(student, Data2vec1Student):
        if model.mask_embedding is None:
            taken.append("fresh mask embedding")
        else:
            student.mask_embedding.data.copy_(model.mask_embedding)
            taken.append("its mask embedding")
    if context is None:
        teacher.context.load_state_dict(encoder.context.state_dict())
        taken.append("teacher = student")
    else:
        teacher.context.load_state_dict(context)
        taken.append("its teacher (_ema)")
    if model.weights_file is not None:
        taken.append(f"SHA-256 {file_sha256(model.weights_file)}")
    return "; ".join(taken)
