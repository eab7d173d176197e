"""Speech is told from pauses, whatever is in them."""

import numpy as np
import pytest
import soundfile
import torch
from unit.inference.voices import PAUSES, joined, pause, voice

from speechbrain_e2v.inference.speech import SpeechDetector
from speechbrain_e2v.inference.speech import joined as merged


def detected(wav, size=None, silence_db=-70.0):
    wav = torch.from_numpy(np.asarray(wav, dtype=np.float32))
    detector, found = SpeechDetector(silence_db), []
    for block in wav.split(size or max(1, len(wav))):
        found += detector.add(block)
    return merged(found + detector.finish())


def spoken(wav, **options):
    """Seconds of each stretch of speech."""
    found, position = [], 0
    for samples, speech in detected(wav, **options):
        if speech:
            found.append((position / 16000, (position + samples) / 16000))
        position += samples
    assert position == len(wav)
    return found


@pytest.mark.parametrize("decibels", PAUSES)
@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0])
def test_every_clip_between_pauses_is_found(seconds, decibels):
    clips = [voice(number=number) for number in range(6)]
    wav, spans = joined(clips, seconds, decibels)
    found = spoken(wav)
    assert len(found) == len(spans)
    for (start, end), (first, last) in zip(found, spans, strict=True):
        assert first - 0.12 < start < first + 0.35
        assert last - 0.35 < end < last + 0.15


@pytest.mark.parametrize("decibels", [-40.0, -30.0, -20.0])
def test_steady_noise_alone_is_no_speech(decibels):
    assert spoken(pause(20, decibels)) == []
    # Nor is it before somebody begins, however long that takes.
    wav = np.concatenate([pause(30, decibels - 20), voice()])
    [(start, _)] = spoken(wav)
    assert 29.9 < start < 30.4


def test_noise_within_a_clip_louder_than_its_own_gaps_is_a_pause():
    wav = np.concatenate([pause(1, -40.0), voice(), pause(1, -40.0, 1)])
    [(start, end)] = spoken(wav)
    assert 0.9 < start < 1.4 and end < len(wav) / 16000 - 0.8


def test_an_offset_is_no_sound_and_hides_none():
    clip = 0.1 * voice()
    wav = np.concatenate([pause(2, None), clip, pause(2, None)]) + 0.6
    assert spoken(wav) == spoken(wav - 0.6)


@pytest.mark.parametrize("number", range(4))
def test_a_single_word_in_long_noise_is_found(number):
    word = voice(number=number, seconds=(0.4, 0.5))
    wav = np.concatenate([pause(12, -45.0), word, pause(12, -45.0, 1)])
    [(start, end)] = spoken(wav)
    assert 11.9 < start < 12.3 and 12.1 < end < 12.7


def test_a_click_is_no_speech():
    wav = pause(3, -60.0)
    wav[20000:20200] += 0.5
    assert spoken(wav) == []


def test_what_is_quieter_than_the_limit_is_none():
    assert spoken(0.0005 * voice(), silence_db=-70.0) == []
    assert spoken(0.0005 * voice(), silence_db=-100.0)


@pytest.mark.parametrize("size", [1, 37, 320, 4001, 160000])
def test_the_blocks_that_come_do_not_matter(size):
    wav, _ = joined([voice(number=n) for n in range(3)], 0.7, -45.0)
    wav = wav[: 30000 if size == 1 else None]
    assert detected(wav, size) == detected(wav)


def test_without_a_limit_everything_is_speech():
    assert spoken(pause(1, None), silence_db=None) == [(0.0, 1.0)]


def test_decisions_come_in_time():
    wav = torch.from_numpy(
        joined([voice(number=n) for n in range(4)], 1, -50)[0]
    )
    detector, decided = SpeechDetector(-70.0), 0
    for position, block in enumerate(wav.split(1600), 1):
        decided += sum(samples for samples, _ in detector.add(block))
        assert position * 1600 - decided < 1.7 * 16000


def test_real_speech_of_every_corpus_is_found(repository):
    data = repository.parent / "shared/data"
    if not data.is_dir():
        pytest.skip("needs ../shared/data")
    for corpus in ("EmoDB", "RAVDESS", "nEMO", "FSDD"):
        paths = sorted((data / corpus).rglob("*.flac"))
        for path in paths[:: max(1, len(paths) // 15)]:
            wav, rate = soundfile.read(path, dtype="float32", always_2d=True)
            wav = torch.from_numpy(wav.mean(axis=1))
            if rate != 16000:
                continue
            share = sum(e - s for s, e in spoken(wav)) / (len(wav) / 16000)
            assert share > 0.1, path
