"""Pre-training that starts from published weights."""

import pytest
import torch
from unit.published.published_tiny import (
    fairseq_content,
    tiny_pair,
    write_fairseq,
)

from speechbrain_e2v.pretraining.initialise import initialise


def same(module, other):
    pairs = zip(
        module.state_dict().items(), other.state_dict().items(), strict=True
    )
    for (name, value), (_, expected) in pairs:
        assert torch.equal(value, expected), name


def test_student_decoder_and_teacher_come_from_the_file(tmp_path):
    theirs, their_teacher = tiny_pair()
    path = write_fairseq(tmp_path / "x.pt", theirs, their_teacher)
    student, teacher = tiny_pair(seed=9)
    told = initialise(student, teacher, path)
    same(student, theirs)
    same(teacher.context, their_teacher.context)
    assert "its teacher (_ema)" in told and "its decoder" in told


def test_tokens_stay_fresh_when_the_file_has_none(tmp_path):
    theirs, their_teacher = tiny_pair(num_extra_tokens=0)
    path = write_fairseq(tmp_path / "base.pt", theirs, their_teacher)
    student, teacher = tiny_pair(seed=9)
    fresh = student.encoder.context.extra_tokens.detach().clone()
    told = initialise(student, teacher, path)
    assert "fresh extra tokens" in told
    assert torch.equal(student.encoder.context.extra_tokens, fresh)
    assert torch.equal(teacher.context.extra_tokens, fresh)
    same(student.encoder.frontend, theirs.encoder.frontend)
    same(teacher.context.blocks, their_teacher.context.blocks)
    assert not torch.equal(
        teacher.context.norm.bias, student.encoder.context.norm.bias
    )


def test_without_teacher_and_decoder(tmp_path):
    theirs, _ = tiny_pair()
    content = fairseq_content(theirs)
    state = content["model"]
    content["model"] = {k: v for k, v in state.items() if "decoder" not in k}
    torch.save(content, tmp_path / "x.pt")
    student, teacher = tiny_pair(seed=9)
    decoder = [p.detach().clone() for p in student.decoder.parameters()]
    told = initialise(student, teacher, tmp_path / "x.pt")
    assert "fresh decoder" in told and "teacher = student" in told
    same(teacher.context, theirs.encoder.context)
    for now, before in zip(student.decoder.parameters(), decoder, strict=True):
        assert torch.equal(now, before)


def test_other_sizes_change_nothing(tmp_path):
    theirs, teacher_of_theirs = tiny_pair(num_extra_tokens=5)
    path = write_fairseq(tmp_path / "x.pt", theirs, teacher_of_theirs)
    student, teacher = tiny_pair(seed=9)
    before = [p.detach().clone() for p in student.parameters()]
    with pytest.raises(ValueError, match=r"extra_tokens is \(5, 48\)"):
        initialise(student, teacher, path)
    for now, then in zip(student.parameters(), before, strict=True):
        assert torch.equal(now, then)
