"""data2vec v1 equals the reference: features, pre-training, masks, padding."""

import numpy as np
import pytest
import torch
from torch import nn

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.pretraining.data2vec1_student import Data2vec1Student
from speechbrain_e2v.pretraining.losses import frame_loss, masked_targets
from speechbrain_e2v.pretraining.masking import mask_layout, span_masks
from speechbrain_e2v.pretraining.schedules import ema_decay
from speechbrain_e2v.pretraining.teacher import Data2vec1Teacher
from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import published_names
from speechbrain_e2v.published.load import load_pretrained
from speechbrain_e2v.published.sizes import build_encoder

TINY = {"encoder_attention_heads": 4}


def close(ours, theirs, atol=1e-4, rtol=0.0):
    ours = ours.detach().numpy() if torch.is_tensor(ours) else ours
    np.testing.assert_allclose(ours, theirs, atol=atol, rtol=rtol)


@pytest.fixture
def pair(golden):
    """Student and teacher with the reference's stored weights."""
    state = golden("d2v1_tiny_fairseq_state.safetensors")
    found = read_data2vec1(state, TINY, "tiny")
    encoder = build_encoder(found.sizes, found.encoder, "tiny")
    student = Data2vec1Student(encoder, nn.Linear(48, 48)).eval()
    student.decoder.load_state_dict(found.decoder)
    student.mask_embedding.data.copy_(found.mask_embedding)
    teacher = Data2vec1Teacher(student, top_k=2)
    teacher.context.load_state_dict(found.teacher)
    return student, teacher


@pytest.fixture
def tiny(pair):
    return pair[0].encoder


def normalised(arrays, name):
    wav = torch.from_numpy(arrays[f"{name}/audio"])[None]
    return normalise_waveform(wav)


@pytest.mark.parametrize("name", ["utt0", "utt1", "utt2"])
@torch.no_grad()
def test_features(tiny, golden, name):
    arrays = golden("d2v1_tiny")
    close(tiny(normalised(arrays, name)), arrays[f"{name}/x"])


@torch.no_grad()
def test_every_block(tiny, golden):
    arrays = golden("d2v1_tiny")
    local = tiny.projection(tiny.frontend(normalised(arrays, "utt0")))
    states = list(tiny.context(local))
    for layer in (0, 2):
        for value, kind in zip(states[layer], ("x", "ffn"), strict=True):
            expected = arrays[f"utt0/layer{layer}_{kind}_TBC"]
            close(value, expected.transpose(1, 0, 2))


@torch.no_grad()
def test_a_batch_is_its_utterances(tiny, golden):
    arrays = golden("d2v1_tiny")
    wavs = [normalised(arrays, f"utt{i}")[0] for i in range(3)]
    batch = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
    lengths = torch.tensor([len(wav) / batch.shape[1] for wav in wavs])
    together = tiny(batch, lengths)
    for row, wav in zip(together, wavs, strict=True):
        alone = tiny(wav[None])[0]
        close(row[: len(alone)], alone, 1e-5)
        assert not row[len(alone) :].any()


def predicted(pair, stored, rows=slice(None), samples=None, frames=None):
    """Student output, targets and layout of some rows, cut to a length."""
    student, teacher = pair
    wav = torch.from_numpy(stored["source"])[rows, :samples]
    mask = torch.from_numpy(stored["mask"])[rows, None, :frames]
    layout = mask_layout(mask)
    noise = torch.zeros(*layout.masked.shape, 48)
    output = student(wav, None, layout, noise)
    return output, teacher(output.local).frames, layout


def stored_case(golden, case):
    arrays = golden("d2v1_tiny_pretrain")
    return {
        name.removeprefix(f"{case}/"): value
        for name, value in arrays.items()
        if name.startswith(f"{case}/")
    }


def test_targets_predictions_loss_and_every_gradient(pair, golden):
    stored = stored_case(golden, "nopad")
    output, targets, layout = predicted(pair, stored)
    close(targets, stored["targets_all"])
    close(output.prediction.flatten(0, 1), stored["pred_masked"])
    scattered = torch.from_numpy(stored["student_out"])
    at = layout.visible.unsqueeze(2).expand_as(output.visible)
    close(output.visible, scattered.gather(1, at))
    target = masked_targets(targets, layout)
    close(target.flatten(0, 1), stored["target_masked"])
    losses = frame_loss(output.prediction, target)
    close(losses.sum(), stored["loss_ref_sum"], rtol=1e-5)
    assert losses.numel() == stored["sample_size"]
    losses.mean().backward()
    theirs = golden("d2v1_tiny_pretrain_grads.safetensors")
    for name, parameter in pair[0].named_parameters():
        if not parameter.numel():  # no extra tokens
            continue
        ours = name.removeprefix("encoder.").replace("decoder.", "prediction.")
        parts = [theirs.pop(part) for part in published_names(ours)]
        expected = torch.cat(parts).reshape(parameter.shape)
        error = (parameter.grad - expected).abs().max()
        assert error <= 1e-3 * expected.abs().max() + 1e-6, name
    assert not theirs, f"never compared: {sorted(theirs)}"


@torch.no_grad()
def test_padded_rows_equal_single_ones(pair, golden):
    """Padding never matters; the reference lets it leak into shorter rows."""
    student, teacher = pair
    stored = stored_case(golden, "pad")
    samples = (~stored["sample_padding_mask"]).sum(1)
    frames = stored["frame_real_length"].tolist()
    wav = torch.from_numpy(stored["source"])
    layout = mask_layout(torch.from_numpy(stored["mask"])[:, None], frames)
    noise = torch.zeros(*layout.masked.shape, 48)
    lengths = torch.tensor(samples / wav.shape[1])
    output = student(wav, lengths, layout, noise)
    targets = teacher(output.local, output.num_frames).frames
    for b, (s, t) in enumerate(zip(samples, frames, strict=True)):
        row = slice(b, b + 1)
        single, expected, alone = predicted(pair, stored, row, s, t)
        masked, seen = alone.masked.shape[1], alone.visible.shape[1]
        close(output.prediction[row, :masked], single.prediction, 1e-5)
        close(output.visible[row, :seen], single.visible, 1e-5)
        close(targets[row, :t], expected, 1e-5)
        assert not targets[b, t:].any()
        theirs = np.abs(targets[b, :t].numpy() - stored["targets_all"][b, :t])
        leaks = t < max(frames)
        assert theirs.max() > 1e-2 if leaks else theirs.max() < 1e-4


@torch.no_grad()
def test_teacher_follows_as_the_reference(pair, golden):
    """Seven updates: averaged, but for the positional convolution."""
    student, teacher = pair
    stored = golden("d2v1_tiny_ema")
    start, end = float(stored["start"]), float(stored["end"])
    anneal = int(stored["anneal_end_step"])
    for step, update in enumerate(stored["num_updates"].tolist()):
        decay = ema_decay(update, start, end, anneal)
        assert decay == pytest.approx(stored["decay_used"][step], abs=1e-12)
        teacher.update(student, decay)
        state = teacher.context.state_dict()
        compared = 0
        for name, value in state.items():
            if not value.numel():
                continue
            names = published_names(f"context.{name}")
            parts = value.chunk(len(names))
            for published, part in zip(names, parts, strict=True):
                theirs = published.removeprefix("encoder.")
                sums = stored[f"after_step{step}/sum_abssum/{theirs}"]
                part = part.double()
                close([part.sum(), part.abs().sum()], sums, 1e-3, 1e-6)
                full = stored.get(f"after_step{step}/full/{theirs}")
                if full is not None:
                    close(part.reshape(full.shape), full, 1e-6)
                    compared += 1
        assert compared == (5 if step in (1, 6) else 0)


def drawn(frames, batches=300):
    """Span masks of many batches of four rows, [batches, 4, T]."""
    return np.stack(
        [
            span_masks(
                frames, [[4 * batch + row] for row in range(4)], 0.65, 10
            )[:, 0]
            for batch in range(batches)
        ]
    )


@pytest.mark.parametrize("frames", [49, 149, 249, 499])
def test_masks_have_the_reference_statistics(golden, frames):
    theirs = golden("d2v1_mask_stats.json")["stats"][f"T{frames}"]
    masks = drawn([frames] * 4)
    counts = masks.sum(2)
    assert (counts == counts[:, :1]).all()
    share = theirs["masked_share_mean"]
    assert counts.mean() / frames == pytest.approx(share, abs=0.008)
    assert counts.std() / frames == pytest.approx(theirs["std"], abs=0.008)
    runs = np.diff(masks.astype(int), axis=2, prepend=0) == 1
    length = counts.sum() / runs.sum()
    assert length == pytest.approx(theirs["run_length_mean"], rel=0.04)


def test_a_short_row_thins_every_mask(golden):
    stats = golden("d2v1_mask_stats.json")["stats"]
    theirs = stats["T249_second_row_has_120_frames"]
    masks = drawn([249, 120, 249, 249])
    close(
        masks.sum(2).mean(0) / 249,
        theirs["mean_masked_share_of_249_by_row"],
        0.008,
    )
    assert not masks[:, 1, 120:].any()


@torch.no_grad()
def test_transformers_gives_the_same_on_single_clips(tmp_path):
    """HuggingFace's own implementation of a model that it wrote itself."""
    transformers = pytest.importorskip("transformers")
    config = transformers.Data2VecAudioConfig(
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=192,
        conv_dim=[32] * 7,
        num_conv_pos_embeddings=5,
        num_conv_pos_embedding_groups=4,
        conv_pos_kernel_size=19,
    )
    torch.manual_seed(0)
    theirs = transformers.Data2VecAudioModel(config).eval()
    for parameter in theirs.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    ours, card = load_pretrained(tmp_path)
    assert card["source_layout"] == "huggingface"
    for samples in (9000, 16000):
        wav = normalise_waveform(torch.randn(1, samples))
        expected = theirs(wav, output_hidden_states=True).hidden_states
        found = ours.hidden_states(wav)
        for state, other in zip(found, expected[1:], strict=True):
            close(state, other.numpy())
