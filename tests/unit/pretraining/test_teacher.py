"""Teacher targets and EMA against plain loops."""

import pytest
import torch
from torch import nn

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.targets import UtteranceTarget, frame_targets
from speechbrain_e2v.pretraining.teacher import EMATeacher


def make(top_k=2, kind="released"):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48,
        num_heads=4,
        prenet_depth=1,
        depth=2,
        num_extra_tokens=3,
        conv_channels=32,
        pos_conv_groups=4,
    )
    student = Student(encoder, nn.Identity())
    return student, EMATeacher(student, top_k, kind)


def test_frame_targets_equal_naive_loop():
    frames = torch.tensor([7, 4])
    layers = [torch.randn(2, 7, 3) for _ in range(2)]
    real = (torch.arange(7)[None] < frames[:, None]).unsqueeze(2)
    ours = frame_targets(layers, real)
    for b, count in enumerate(frames.tolist()):
        for d in range(3):
            total = torch.zeros(count)
            for layer in layers:
                x = layer[b, :count, d]
                variance = ((x - x.mean()) ** 2).mean()
                total += (x - x.mean()) / (variance + 1e-5).sqrt()
            torch.testing.assert_close(ours[b, :count, d], total / 2)
        assert ours[b, count:].abs().sum() == 0


def test_teacher_never_trains():
    _, teacher = make()
    teacher.train()
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_update_is_a_moving_average():
    student, teacher = make()
    before = [p.clone() for p in teacher.context.parameters()]
    with torch.no_grad():
        for p in student.encoder.context.parameters():
            p.add_(torch.randn_like(p))
    teacher.update(student, 0.9)
    for old, new, target in zip(
        before,
        teacher.context.parameters(),
        student.encoder.context.parameters(),
        strict=True,
    ):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * target)


def test_gradient_never_reaches_the_teacher_input():
    student, teacher = make()
    local = torch.randn(1, 9, 48, requires_grad=True)
    assert not teacher(local).frames.requires_grad


def test_released_target_is_zero_and_the_others_are_not():
    """The temporal mean of targets normalised over time is zero."""
    local = torch.randn(3, 20, 48)
    for kind, differs in [
        ("released", False),
        ("raw", True),
        ("layer_norm", True),
        ("standard", True),
    ]:
        _, teacher = make(kind=kind)
        vector = teacher(local).utterance
        assert vector.shape == (3, 48)
        assert (vector.abs().max() > 1e-3) == differs, kind


def test_padding_does_not_reach_the_targets():
    for kind in ("released", "raw", "layer_norm"):
        _, teacher = make(kind=kind)
        local = torch.randn(2, 20, 48)
        both = teacher(local, torch.tensor([20, 12]))
        alone = teacher(local[1:, :12])
        torch.testing.assert_close(
            both.frames[1, :12], alone.frames[0], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            both.utterance[1], alone.utterance[0], atol=1e-5, rtol=0
        )


def test_standard_target_settles_to_unit_spread():
    target = UtteranceTarget(4, "standard", momentum=0.05)
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.1, 1.0, 5.0, 20.0])
    vectors = []
    for _ in range(400):
        vector = 3 + scale * torch.randn(8, 4, generator=generator)
        vectors.append(target._standardise(vector))
    spread = torch.cat(vectors[200:]).std(0)
    assert ((spread - 1).abs() < 0.15).all()


@pytest.mark.parametrize("top_k", [0, 3])
def test_top_k_is_checked(top_k):
    with pytest.raises(ValueError, match=f"top_k_layers is {top_k}"):
        make(top_k)


def test_unknown_target_names_the_choices():
    with pytest.raises(ValueError, match="layer_norm"):
        make(kind="mean")
