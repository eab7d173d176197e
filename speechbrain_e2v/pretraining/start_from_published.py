"""Continuing the pre-training of a published checkpoint."""

from speechbrain_e2v.published.load import read_pretrained
from speechbrain_e2v.published.state_dict_check import check_state


def start_from_published(student, teacher, source):
    """Start student and teacher from anything `load_pretrained` accepts.

    The student's extra tokens stay fresh where the source has none, as in
    emotion2vec's own pre-training from data2vec 2.0. The teacher starts from
    the source's `_ema` when it has one, else as a copy of the student.

    Arguments
    ---------
    student : Student
    teacher : EMATeacher
    source : str or Path

    Returns
    -------
    str
        What was taken, in words.

    Raises
    ------
    ValueError
        When sizes differ, tensor by tensor.
    """
    model = read_pretrained(source)
    encoder = student.encoder
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
    if context is None:
        teacher.context.load_state_dict(encoder.context.state_dict())
        taken.append("teacher = student")
    else:
        teacher.context.load_state_dict(context)
        taken.append("its teacher (_ema)")
    return "; ".join(taken)
