"""Speech is cut out of recordings; lengths are kept."""

import numpy as np
import pytest
import soundfile

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.pseudo_labels.pieces import (
    PieceLengths,
    speech_pieces,
)
from speechbrain_e2v.inference.speech import Stretch


def stretches(*seconds):
    """Speech and pauses in turn, speech first."""
    return [
        Stretch(round(s * 16000), index % 2 == 0)
        for index, s in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((2.0,), [(0, 2)]),
        ((0.5, 1.0, 2.0), [(1.5, 3.5)]),  # too short, alone
        ((1.0, 0.2, 1.0), [(0, 2.2)]),  # a short pause divides nothing
        ((1.0, 0.6, 1.0), [(0, 1), (1.6, 2.6)]),
        ((2.0, 0.2, 2.5), [(0, 2), (2.2, 4.7)]),  # 4.7 s would be too long
        ((9.0,), [(0, 3), (3, 6), (6, 9)]),
        ((), []),
    ],
)
def test_cut(seconds, expected):
    found = PieceLengths(longest=4.0).cut(stretches(*seconds))
    assert found == [pytest.approx(span) for span in expected]


def test_pieces_hold_the_speech(tmp_path):
    time = np.arange(2 * 8000) / 8000
    voice = 0.5 * np.sin(900 * time) * np.sin(20 * time) ** 2
    pause = 0.001 * np.random.default_rng(0).standard_normal(3 * 8000)
    wav = np.concatenate([pause, voice, pause, voice, pause])
    path = tmp_path / "a.flac"
    soundfile.write(path, wav, 8000)
    whole = Utterance("a", str(path), spk="x", lang="pl", duration=13.0,
                      num_samples=len(wav), sample_rate=8000)  # fmt: skip
    late = Utterance("b", str(path), start=6.0, stop=13.0, duration=7.0,
                     sample_rate=8000)  # fmt: skip
    found = speech_pieces([whole, late], PieceLengths(), -70.0, progress=False)
    assert [u.extra["source"] for u in found] == ["a", "a", "b"]
    assert [u.start for u in found] == pytest.approx([3, 8, 8], abs=0.2)
    assert [u.stop for u in found] == pytest.approx([5, 10, 10], abs=0.2)
    assert len({u.id for u in found}) == 3
    assert (found[0].spk, found[0].lang) == ("x", "pl")
    for piece in found:
        samples = len(read_audio(piece.wav, piece.start, piece.stop))
        assert samples == pytest.approx(piece.samples_at_16k, abs=2)
