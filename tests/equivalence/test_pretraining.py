"""Pre-training maths equals the reference implementation's."""

import numpy as np
import pytest
import torch
from equivalence.reference_model import filled_pair, named_parameters

from speechbrain_e2v.pretraining.losses import (
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import mask_layout

KINDS = {"token": "single", "chunk": "chunk", "global": "global"}


def close(ours, theirs, atol=1e-4, rtol=0.0):
    ours = ours.detach().numpy() if torch.is_tensor(ours) else ours
    np.testing.assert_allclose(ours, theirs, atol=atol, rtol=rtol)


class Case:
    """One stored case, run through our student and teacher."""

    def __init__(self, arrays, prefix, student, teacher):
        self.stored = {
            name.removeprefix(prefix + "/"): value
            for name, value in arrays.items()
            if name.startswith(prefix + "/")
        }
        wav = torch.from_numpy(self.stored["source"])
        mask = torch.from_numpy(self.stored["mask"]).bool()
        noise = torch.from_numpy(self.stored["noise"])
        mask = mask.view(len(wav), -1, mask.shape[1])
        self.layout = mask_layout(mask)
        at_masked = self.layout.masked.unsqueeze(2)
        noise = noise.gather(1, at_masked.expand(-1, -1, noise.shape[2]))
        self.output = student(wav, None, self.layout, noise)
        self.targets = teacher(self.output.local)

    def frame_losses(self):
        target = masked_targets(self.targets.frames, self.layout)
        return frame_loss(self.output.prediction, target)

    def utterance_losses(self, kind):
        prediction = utterance_prediction(
            self.output.tokens, self.output.visible, kind=kind
        )
        return utterance_loss(prediction, self.targets.utterance)


def check(case):
    stored, output, layout = case.stored, case.output, case.layout
    close(case.targets.frames, stored["targets"])
    # Instance norm over time, then a mean over time: the released utterance
    # target is zero whatever the utterance (README, notes on the method).
    assert case.targets.utterance.abs().max() < 1e-5
    scattered = torch.zeros(stored["student_encoder_visible_scattered"].shape)
    at_visible = layout.visible.unsqueeze(2).expand_as(output.visible)
    scattered.scatter_(1, at_visible, output.visible.detach())
    close(scattered, stored["student_encoder_visible_scattered"])
    close(output.tokens, stored["student_encoder_extra"])
    at_masked = layout.masked.unsqueeze(2).expand_as(output.prediction)
    decoder_out = torch.from_numpy(stored["decoder_out"])
    close(output.prediction, decoder_out.gather(1, at_masked))
    losses = case.frame_losses()
    close(losses.flatten(), stored["frame_loss_per_position"], rtol=1e-4)
    width = output.prediction.shape[2]
    frame_sum = losses.sum()
    close(frame_sum, stored["frame_loss_ref_sum"], rtol=1e-4)
    close(losses.mean() / width**0.5, stored["frame_loss_mse_mean"], rtol=1e-4)
    size = int(stored["sample_size"])
    assert losses.numel() == size
    for kind, name in KINDS.items():
        rows = case.utterance_losses(kind)
        close(rows, stored[f"{name}/utt_loss_per_row"], rtol=1e-4)
        released = rows.sum() * size  # reduction "sum"
        close(released, stored[f"{name}/cls_loss_ref_sum"], rtol=1e-4)
        paper = rows.mean() / width**0.5  # reduction "mean", as a plain MSE
        close(paper, stored[f"{name}/utt_loss_mse_mean"], rtol=1e-4)
        total = frame_sum / size + rows.sum()
        close(total, stored[f"{name}/total_ref"], rtol=1e-4)


@torch.no_grad()
def test_tiny_unpadded(golden, tiny_pair):
    case = Case(golden("tiny_pretrain"), "nopad", *tiny_pair)
    check(case)
    stored, (_, teacher) = case.stored, tiny_pair
    states = list(teacher.context(case.output.local))
    for i in range(3):
        mlp = states[2 + i][1][:, 3:]
        close(mlp, stored[f"teacher_ffn_{i}"])
    close(states[-1][0], stored["teacher_block_out_last"])


@torch.no_grad()
def test_variant(golden):
    cfg = golden("tiny_variant_config.json")
    prefix = "topk2_extra1_prenet0_clone1"
    case = Case(golden("tiny_pretrain_variant"), prefix, *filled_pair(cfg))
    check(case)


@torch.no_grad()
def test_base_size(golden):
    recipe = golden("base_full_recipe.json")
    pair = filled_pair(recipe["cfg"])
    check(Case(golden("base_full_pretrain"), "nopad", *pair))


def test_every_gradient(golden, tiny_pair):
    student, _ = tiny_pair
    case = Case(golden("tiny_pretrain"), "nopad", *tiny_pair)
    student.zero_grad()
    frames = case.frame_losses()
    loss = frames.sum() / frames.numel() + case.utterance_losses("chunk").sum()
    loss.backward()
    stored = golden("tiny_pretrain_grads_chunk.safetensors")
    for published, _, parameter in named_parameters(student):
        theirs = stored.pop(published).reshape(parameter.shape)
        error = (parameter.grad - theirs).abs().max()
        assert error <= 1e-3 * theirs.abs().max() + 1e-7, published
    assert not stored, f"never compared: {sorted(stored)}"


@torch.no_grad()
def test_padded_equals_naive_loop(golden, tiny_pair):
    """Padding never matters; the reference lets it leak.

    Intended difference: the released code convolves over padded frames, sums
    them into instance norm and utterance mean, and decodes them. Here an
    utterance in a padded batch gives what it gives alone.
    """
    student, teacher = tiny_pair
    stored = golden("tiny_pretrain")
    padding = stored["pad/frame_padding_mask"]
    wav = torch.from_numpy(stored["pad/source"])
    samples = (~stored["pad/sample_padding_mask"]).sum(1)
    frames = (~padding).sum(1).tolist()
    mask = torch.from_numpy(stored["pad/mask"]).bool().view(2, 2, -1)
    noise = torch.from_numpy(stored["pad/noise"])
    layout = mask_layout(mask, frames)
    lengths = torch.tensor(samples / wav.shape[1])
    at = layout.masked.unsqueeze(2).expand(-1, -1, noise.shape[2])
    output = student(wav, lengths, layout, noise.gather(1, at))
    targets = teacher(output.local, output.num_frames)
    reference = torch.from_numpy(stored["pad/targets"])
    for b, (s, t) in enumerate(zip(samples, frames, strict=True)):
        alone = mask_layout(mask[b : b + 1, :, :t])
        rows = slice(2 * b, 2 * b + 2)
        at = alone.masked.unsqueeze(2).expand(-1, -1, noise.shape[2])
        single = student(
            wav[b : b + 1, :s], None, alone, noise[rows, :t].gather(1, at)
        )
        single_targets = teacher(single.local)
        m, v = alone.masked.shape[1], alone.visible.shape[1]
        close(output.prediction[rows, :m], single.prediction, 1e-5)
        close(output.visible[rows, :v], single.visible, 1e-5)
        close(output.tokens[rows], single.tokens, 1e-5)
        close(targets.frames[b, :t], single_targets.frames[0], 1e-5)
        assert targets.frames[b, t:].abs().sum() == 0
        close(targets.utterance[b], single_targets.utterance[0], 1e-5)
        difference = (targets.frames[b, :t] - reference[b, :t]).abs().max()
        if t < reference.shape[1]:
            assert difference > 1e-2  # the leak is real ...
        else:
            assert difference < 1e-4  # ... and only where there is padding
        real = None if layout.masked_real is None else layout.masked_real[rows]
        padded_loss = frame_loss(
            output.prediction[rows],
            masked_targets(targets.frames, layout)[rows],
            real,
        )
        single_loss = frame_loss(
            single.prediction, masked_targets(single_targets.frames, alone)
        )
        close(padded_loss.sum(), single_loss.sum(), rtol=1e-5)
        for kind in KINDS:
            weights = (
                None
                if layout.visible_real is None
                else layout.visible_real[rows]
            )
            close(
                utterance_prediction(
                    output.tokens[rows], output.visible[rows], weights, kind
                ),
                utterance_prediction(single.tokens, single.visible, kind=kind),
                1e-5,
            )


@pytest.mark.parametrize("kind", ["raw", "layer_norm", "standard"])
@torch.no_grad()
def test_other_utterance_targets_differ_between_utterances(tiny_pair, kind):
    from speechbrain_e2v.pretraining.targets import UtteranceTarget

    student, teacher = tiny_pair
    torch.manual_seed(0)
    local = torch.randn(4, 30, 48)
    kept, teacher.utterance_target = (
        teacher.utterance_target,
        UtteranceTarget(48, kind),
    )
    try:
        vectors = teacher(local).utterance
    finally:
        teacher.utterance_target = kept
    assert vectors.std(0).mean() > 1e-2
    assert teacher(local).utterance.std(0).mean() < 1e-6  # released
