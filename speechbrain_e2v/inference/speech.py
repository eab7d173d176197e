"""Where somebody speaks: what is louder than the noise around it.

The level of every 20 ms, smoothed over 100 ms, is compared with the noise,
which is the tenth percentile of the ten seconds before it and the second
behind it, and with the loud frames there: what is 30 dB below them is none of
that speech. What is steady for 0.3 s is noise too, unless it is loud as a
vowel; so is what is steady for a second, however loud. There is no network to
download: level and noise are measured in the recording.
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view

from speechbrain_e2v.lobes.lengths import HOP

_SMOOTHED = 2  # frames on each side
_BEFORE, _BEHIND = 500, 50  # frames whose noise counts
_MARGIN_DB = 6.0  # of speech over noise
_RANGE_DB = 30.0  # of speech
_LOUD_FRAMES = 10  # that speech has, even if it is but a word
_STEADY_DB = 5.0  # from the tenth percentile to the loud frames: only noise
_STEADY_FRAMES, _DEVIATION_DB = 15, 1.0  # of noise in a pause
_BELOW_VOWELS_DB = 10.0
_MARGIN = 4  # frames kept on each side of what is louder: words begin softly
_MIN_SPEECH = 13  # frames, margins included: what is shorter is a click
_MIN_PAUSE = 7  # frames, without margins: what is shorter is part of speech


class Stretch(NamedTuple):
    """The next samples of a stream, and whether they are speech."""

    samples: int
    speech: bool


class SpeechDetector:
    """Tells speech from pauses in a stream of 16,000 Hz, 1.4 s late at most.

    Below `silence_db` (root mean square, dB below full scale) nothing is
    speech; None: everything is.

    >>> time = torch.arange(16000) / 16000
    >>> voice = (900 * time).sin() * (20 * time).sin() ** 2
    >>> hiss = 0.01 * torch.rand(16000)
    >>> detector = SpeechDetector(-70.0)
    >>> found = detector.add(torch.cat([hiss, voice, hiss]))
    >>> found = joined(found + detector.finish())
    >>> [s.speech for s in found], abs(found[1].samples - 16000) < 4000
    ([False, True, False], True)
    """

    def __init__(self, silence_db: float | None) -> None:
        self._silence_db = silence_db
        self._rest = torch.zeros(0)  # less than a frame
        self._powers: list[float] = []  # of the last frames
        self._levels: list[float] = []  # of the frames that still count
        self._first_power = self._first_level = self._decided = 0  # frames
        self._marks = _Marks()

    def add(self, wav: torch.Tensor) -> list[Stretch]:
        """Take samples [S]; give what is decided by now."""
        if self._silence_db is None:
            return [Stretch(len(wav), True)] if len(wav) else []
        self._rest = torch.cat([self._rest, wav])
        whole = len(self._rest) // HOP * HOP
        if whole:
            frames = self._rest[:whole].double().view(-1, HOP)
            # The variance: an offset is no sound.
            self._powers += frames.var(dim=1, correction=0).tolist()
            self._rest = self._rest[whole:].clone()
        return self._advance(ended=False)

    def finish(self) -> list[Stretch]:
        """Give what is left of the stream."""
        if self._silence_db is None:
            return []
        found = self._advance(ended=True) + self._marks.finish()
        if len(self._rest):  # goes with the frame before it
            speech = bool(found) and found[-1].speech
            found.append(Stretch(len(self._rest), speech))
        return found

    def _advance(self, ended: bool) -> list[Stretch]:
        powers, levels = self._powers, self._levels
        frames = self._first_power + len(powers)
        level = self._first_level + len(levels)
        for frame in range(level, frames if ended else frames - _SMOOTHED):
            first = max(0, frame - _SMOOTHED) - self._first_power
            around = powers[first : frame + _SMOOTHED + 1 - self._first_power]
            power = max(sum(around) / len(around), 1e-15)
            levels.append(10 * float(np.log10(power)))
        known = self._first_level + len(levels)
        until = known if ended else known - _BEHIND
        array = np.array(levels)
        steady = _steady(array)
        found: list[Stretch] = []
        for frame in range(self._decided, until):
            here = frame - self._first_level
            first = max(0, here - _BEFORE)
            context = array[first : here + _BEHIND + 1]
            threshold = self._threshold(context, bool(steady[here]))
            found += self._marks.add(bool(array[here] > threshold))
        self._decided = max(self._decided, until)
        self._first_power += _trim(
            powers, known - _SMOOTHED - self._first_power
        )
        self._first_level += _trim(
            levels, self._decided - _BEFORE - self._first_level
        )
        return joined(found)

    def _threshold(self, levels: np.ndarray, steady: bool) -> float:
        assert self._silence_db is not None
        levels = np.maximum(levels, self._silence_db)
        tenth = len(levels) // 10
        loud = len(levels) - 1 - min(_LOUD_FRAMES, tenth)
        low, high = np.partition(levels, (tenth, loud))[[tenth, loud]]
        if high - low < _STEADY_DB and len(levels) >= _BEHIND:
            return np.inf
        margin = min(_MARGIN_DB, (high - low) / 2)
        below = _BELOW_VOWELS_DB if steady else _RANGE_DB
        return max(self._silence_db, low + margin, high - below)


def _steady(levels: np.ndarray) -> np.ndarray:
    """Whether each frame lies in 0.3 s of hardly changing level."""
    found = np.zeros(len(levels), dtype=bool)
    if len(levels) >= _STEADY_FRAMES:
        windows = sliding_window_view(levels, _STEADY_FRAMES)
        still = windows.std(axis=1) < _DEVIATION_DB
        for offset in range(_STEADY_FRAMES):
            found[offset : offset + len(still)] |= still
    return found


class _Marks:
    """Adds margins to loud frames, removes clicks and fills short gaps."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=2 * _MARGIN + 1)
        self._frames = 0
        self._speech = False
        self._waiting = 0  # frames that may become either
        self._loud = 0  # the last of them that were loud

    def add(self, loud: bool) -> list[Stretch]:
        """Take a frame; decide on the one that is a margin older."""
        self._recent.append(loud)
        self._frames += 1
        if self._frames <= _MARGIN:
            return []
        near = any(self._recent)
        self._waiting += 1
        self._loud = self._loud + 1 if near else 0
        goes_on = near and self._speech and self._waiting == 1
        if goes_on or self._loud >= _MIN_SPEECH:
            return self._settle(self._waiting if self._speech else self._loud)
        if not self._loud and (not self._speech or self._waiting >= _MIN_PAUSE):
            self._speech = False
            return self._settle(0)
        return []

    def finish(self) -> list[Stretch]:
        """Decide on what is left."""
        found = []
        for _ in range(_MARGIN):
            found += self.add(False)
        return found + self._settle(0)

    def _settle(self, speech: int) -> list[Stretch]:
        """Decide on all that wait; the last `speech` frames are speech."""
        pause, self._waiting, self._loud = self._waiting - speech, 0, 0
        self._speech = speech > 0
        return [
            Stretch(frames * HOP, kind)
            for frames, kind in ((pause, False), (speech, True))
            if frames
        ]


def joined(stretches: list[Stretch]) -> list[Stretch]:
    """Make one of neighbours of the same kind."""
    found: list[Stretch] = []
    for stretch in stretches:
        if found and found[-1].speech == stretch.speech:
            total = found[-1].samples + stretch.samples
            found[-1] = Stretch(total, stretch.speech)
        else:
            found.append(stretch)
    return found


def _trim(values: list[float], count: int) -> int:
    """Drop the first `count` values; how many there were."""
    count = min(max(0, count), len(values))
    del values[:count]
    return count
