"""Vesper's losses, gradients, head and schedule equal the reference's."""

import numpy as np
import pytest
import torch

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.heads import WeightedSumHead
from speechbrain_e2v.lobes.lengths import frame_mask
from speechbrain_e2v.lobes.wavlm import WavLMEncoder
from speechbrain_e2v.pretraining.schedules import cosine_with_warmup
from speechbrain_e2v.pretraining.vesper.initialise import layer_sources
from speechbrain_e2v.pretraining.vesper.losses import vesper_losses
from speechbrain_e2v.pretraining.vesper.student import VesperStudent
from speechbrain_e2v.published.sizes import build_encoder
from speechbrain_e2v.published.wavlm_layout import published_names, read_wavlm

PREDICTORS = {"low": "l", "high": "h", "cross": "x"}


def close(ours, theirs, atol=1e-4):
    ours = ours.detach().numpy() if torch.is_tensor(ours) else ours
    np.testing.assert_allclose(ours, theirs, atol=atol, rtol=0)


@pytest.fixture
def student(golden):
    """With the reference's stored weights, in evaluation mode."""
    state = golden("vesper_tiny_state.safetensors")
    found = read_wavlm(state, None, "tiny")
    encoder = build_encoder(found.sizes, found.encoder, "tiny")
    student = VesperStudent(encoder).eval()
    for ours, theirs in PREDICTORS.items():
        for name, parameter in getattr(student, ours).named_parameters():
            stored = state[f"{theirs}_predictor.simple_ffn.{name}"]
            parameter.data.copy_(stored)
    return student


def forward(student, stored):
    """Student output, targets and masks of the stored case."""
    wav = torch.from_numpy(stored["waveform_int16"].astype(np.float32)) / 32768
    tensors = {
        name: torch.from_numpy(stored[name])
        for name in ("small_mask", "large_mask", "l_target", "h_target")
    }
    small, large, low, high = tensors.values()
    frames = torch.from_numpy(stored["frame_real_length"])
    output = student(normalise_waveform(wav), frames, small, large)
    return output, (low, high, small, large), frame_mask(frames, 99)


def test_losses_and_every_gradient(student, golden):
    stored = golden("vesper_tiny_pretrain")
    output, compared, real = forward(student, stored)
    for name, state in (("half", output.middle), ("last", output.last)):
        close(state[real], stored[f"hidden_{name}"][real.numpy()])
    close(output.low, stored["l_pred_masked"])
    close(output.high, stored["h_pred_masked"])
    losses = vesper_losses(output, *compared)
    for ours, theirs in PREDICTORS.items():
        close(losses[ours], stored[f"L_{theirs}"], 1e-5)
    valid = vesper_losses(output, *compared, counted=real)
    close(valid["cross"], stored["L_x_valid_frames_only"], 1e-5)
    assert valid["cross"] != losses["cross"]
    total = losses["low"] + 0.1 * losses["high"] + losses["cross"]
    close(total, stored["total"], 1e-5)
    total.backward()
    theirs = golden("vesper_tiny_pretrain_grads.safetensors")
    for name, parameter in student.named_parameters():
        kind, _, inner = name.partition(".")
        if kind == "encoder":
            names = [f"vesper.{part}" for part in published_names(inner)]
        else:
            names = [f"{PREDICTORS[kind]}_predictor.simple_ffn.{inner}"]
        if parameter.grad is None:
            assert inner.startswith("frontend"), name
            assert not set(names) & set(theirs)
            continue
        expected = torch.cat([theirs.pop(part) for part in names])
        largest = expected.abs().max().item()
        close(parameter.grad, expected.reshape(parameter.shape), 1e-3 * largest)
    assert not theirs


def test_counts_of_real_size():
    with torch.device("meta"):
        student = VesperStudent(WavLMEncoder())
    parameters = list(student.parameters())
    assert sum(p.numel() for p in parameters) == 66_666_208
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    assert trained == 62_459_616


@pytest.mark.parametrize(
    "style", ["uniform_extract", "uniform_average", "identity_mapping"]
)
def test_init_styles(golden, style):
    found = golden("vesper_facts.json")["init_mapping"]
    seen = 0
    for name, layers in found.items():
        if style not in name:
            continue
        depth = int(name.split()[0])
        sources = layer_sources(style, depth, 24)
        assert [np.mean(x) for x in sources] == layers
        seen += 1
    assert seen


def test_layers_by_hand(golden):
    found = golden("vesper_facts.json")["init_mapping"]
    for style, name in (
        ([0, 5, 11, 17], "custom_extract"),
        ([(0, 1), (2, 5), (6, 13), (14, 23)], "custom_average"),
    ):
        (layers,) = (v for k, v in found.items() if name in k)
        assert [np.mean(x) for x in layer_sources(style, 4, 24)] == layers
    for style in ("nearest", [0, 1], [0, 1, 2, 24]):
        with pytest.raises(ValueError, match="init_style is"):
            layer_sources(style, 4, 24)


def test_schedule(golden):
    """The reference's factors of 100 epochs; its warm-up is a step ahead."""
    factors = golden("vesper_facts.json")["lr_factor"]
    for epoch, factor in enumerate(factors):
        update = epoch + 1 if epoch < 5 else epoch
        found = cosine_with_warmup(update, 1.0, "5 %", 100, ends=0.01)
        assert found == pytest.approx(factor, abs=1e-9), epoch


@torch.no_grad()
def test_downstream_head(golden):
    """The true masked mean; the released one adds a bias for padding."""
    stored = golden("vesper_tiny_head")
    arrays = golden("vesper_tiny_features")
    head = WeightedSumHead(5 * 32, 4, num_layers=5, hidden=12)
    for ours, theirs in {
        "layer_weights": "weights",
        "projection.weight": "projector.weight",
        "projection.bias": "projector.bias",
        "output_layer.weight": "classifier.weight",
        "output_layer.bias": "classifier.bias",
    }.items():
        value = torch.from_numpy(stored[f"state/{theirs}"])
        head.get_parameter(ours).copy_(value)

    def features(where):
        layers = [arrays[f"{where}/hidden_{i}"] for i in range(5)]
        return torch.from_numpy(np.concatenate(layers, axis=2))

    for utterance in range(3):
        logits = head(features(f"utt{utterance}"))
        close(logits, stored[f"single{utterance}/logits"])
    frames = torch.from_numpy(stored["frame_real_length"])
    logits = head(features("batch"), frames)
    close(logits, stored["batch/logits_true_masked_mean"])
