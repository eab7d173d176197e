"""Encoder outputs equal the reference implementation's."""

import numpy as np
import pytest
import torch
from equivalence.reference_model import FilledState, build_student, load_student

from speechbrain_e2v.lobes.frontend import normalise_waveform


def close(ours, theirs, atol=1e-4):
    ours = ours.detach().numpy() if torch.is_tensor(ours) else ours
    np.testing.assert_allclose(ours, theirs, atol=atol, rtol=0)


@torch.no_grad()
def features(encoder, audio):
    wav = normalise_waveform(torch.from_numpy(audio)[None])
    return encoder(wav)


def padded_batch(audios):
    longest = max(len(a) for a in audios)
    wav = torch.zeros(len(audios), longest)
    for row, audio in zip(wav, audios, strict=True):
        row[: len(audio)] = torch.from_numpy(audio)
    count = torch.tensor([len(a) for a in audios])
    return normalise_waveform(wav, count), count / longest


def check_utterances(encoder, arrays):
    audios = [arrays[f"feat/utt{i}/audio"] for i in range(3)]
    singles = [features(encoder, audio) for audio in audios]
    for i, single in enumerate(singles):
        close(single, arrays[f"feat/utt{i}/x"])
        close(single.mean(1)[0], arrays[f"feat/utt{i}/pooled"].ravel())
    wav, lengths = padded_batch(audios)
    with torch.no_grad():
        batch = encoder(wav, lengths)
    for row, single in zip(batch, singles, strict=True):
        frames = single.shape[1]
        close(row[:frames], single[0].numpy(), atol=1e-5)
        assert row[frames:].abs().sum() == 0


def test_tiny_utterances_and_padded_batch(golden, tiny_pair):
    check_utterances(tiny_pair[0].encoder, golden("tiny_features"))


def test_normalised_audio(golden):
    arrays = golden("tiny_features")
    wav = torch.from_numpy(arrays["feat/utt0/audio"])[None]
    close(normalise_waveform(wav)[0], arrays["feat/utt0/audio_normed"].ravel())


@torch.no_grad()
def test_tiny_intermediates(golden, tiny_pair):
    arrays = golden("tiny_features")
    inter = {
        name.removeprefix("feat/utt0/inter/"): value
        for name, value in arrays.items()
        if name.startswith("feat/utt0/inter/")
    }
    encoder = tiny_pair[0].encoder
    x = torch.from_numpy(arrays["feat/utt0/audio_normed"]).view(1, -1, 1)
    for i, layer in enumerate(encoder.frontend.layers):
        x = layer(x)
        close(x.transpose(1, 2), inter.pop(f"conv_layer_{i}"))
    features = encoder.projection(x)
    close(features, inter.pop("projected"))
    x = features
    for i, block in enumerate(encoder.context.positional.blocks):
        x = block(x)
        close(x.transpose(1, 2), inter.pop(f"pos_conv_layer_{i}_BCT"))
    close(x, inter.pop("pos_conv"))
    x = torch.cat([encoder.context.extra_tokens[None], features + x], 1)
    close(encoder.context.norm(x), inter.pop("prenet_in_normed"))
    states = list(encoder.context(features))
    for i, (output, _) in enumerate(states[:2]):
        close(output, inter.pop(f"prenet_block_{i}"))
    close(states[1][0], inter.pop("prenet_out"))
    for i, (output, mlp) in enumerate(states[2:]):
        close(output, inter.pop(f"block_{i}"))
        close(mlp, inter.pop(f"block_{i}_ffn"))
        close(mlp, arrays[f"feat/utt0/layer_result_{i}"])
    close(states[-1][0], arrays["feat/utt0/x_with_extra"])
    assert not inter, f"never compared: {sorted(inter)}"


@pytest.mark.parametrize("size", ["base", "large"])
def test_full_size(golden, size):
    recipe = golden(f"{size}_full_recipe.json")
    arrays = golden(f"{size}_full_features")
    student = build_student(recipe["cfg"])
    state = FilledState(student, recipe["fill_seed_student"])
    load_student(student, state)
    sums = recipe["param_checksums_sum_abs"]
    for name in state.shapes:
        assert state[name].double().sum().item() == pytest.approx(
            sums[name][0], rel=1e-6, abs=1e-4
        )
    if size == "base":
        check_utterances(student.encoder, arrays)
        return
    audio = arrays["feat/utt0/audio"]
    close(features(student.encoder, audio), arrays["feat/utt0/x"])
