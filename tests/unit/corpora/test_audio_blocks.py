"""Pieces of a file, joined, are the file."""

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.tiny import noise

from speechbrain_e2v.corpora.audio import AudioError, audio_blocks, read_audio


@pytest.mark.parametrize("rate", [16000, 8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("block_seconds", [0.001, 0.13, 1.0, 60.0])
def test_pieces_join_to_the_whole(tmp_path, rate, block_seconds):
    samples = rate + 1237
    if block_seconds < 0.01:
        samples = rate // 8  # every piece is shorter than the kernel
    wav = noise(samples, 1)
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([wav, -0.2 * wav], axis=1), rate)
    joined = torch.cat(list(audio_blocks(path, block_seconds)))
    whole = read_audio(path)
    assert joined.shape == whole.shape
    torch.testing.assert_close(joined, whole, atol=1e-6, rtol=0)


def test_pieces_are_small(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(44100 * 10, 1), 44100)
    sizes = [len(block) for block in audio_blocks(path, 0.5)]
    assert len(sizes) >= 20 and max(sizes) <= 8200


def test_a_value_that_is_not_finite_is_found_where_it_is(tmp_path):
    wav = noise(9000, 1)
    wav[7000] = np.nan
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 7000 is nan"):
        list(audio_blocks(tmp_path / "a.wav", 0.1))


def test_nothing_is_no_audio(tmp_path):
    soundfile.write(tmp_path / "a.wav", [], 16000)
    with pytest.raises(AudioError, match="empty"):
        list(audio_blocks(tmp_path / "a.wav"))
