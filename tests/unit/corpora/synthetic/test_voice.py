"""Source and filter against what theory says of them."""

import numpy as np
import pytest
from scipy.signal import freqz_sos, sosfilt

from speechbrain_e2v.corpora.synthetic.voice import (
    BLOCK,
    SAMPLE_RATE,
    VoiceQuality,
    formant_filter,
    glottal_pulses,
    per_sample,
    resonators,
)

STEADY = VoiceQuality(0.6, 2000.0, 0.0, 0.0, 0.0)


def pulses(f0, **changes):
    quality = VoiceQuality(**{**vars(STEADY), **changes})
    samples = np.full(SAMPLE_RATE, float(f0))
    return glottal_pulses(samples, quality, np.random.default_rng(0))


@pytest.mark.parametrize("f0", [80, 125, 200, 400])
def test_pulses_repeat_with_the_period(f0):
    derivative, opening = pulses(f0)
    period = SAMPLE_RATE // f0
    np.testing.assert_allclose(
        opening[period : 4 * period], opening[: 3 * period], atol=1e-6
    )
    # Closing is steeper than opening: the negative peak is the larger one.
    assert -derivative.min() > derivative.max() > 0


@pytest.mark.parametrize("open_quotient", [0.4, 0.6, 0.8])
def test_open_quotient_is_the_share_of_an_open_glottis(open_quotient):
    _, opening = pulses(100, open_quotient=open_quotient)
    assert np.mean(opening > 1e-9) == pytest.approx(open_quotient, abs=0.01)
    assert opening.max() == pytest.approx(1.0, abs=1e-3)


def test_level_hardly_depends_on_f0():
    levels = [pulses(f0)[0].std() for f0 in (80, 160, 320)]
    assert max(levels) / min(levels) < 1.1


def closures(derivative):
    """Sample numbers of the glottal closures."""
    strong = derivative < 0.5 * derivative.min()
    return np.flatnonzero(strong[1:] & ~strong[:-1])


def test_jitter_moves_the_closures_and_shimmer_does_not():
    variation = {
        name: np.diff(closures(pulses(100, **{name: 0.03})[0])).std()
        for name in ("jitter", "shimmer")
    }
    # A mark moves by 3 % of 160 samples. At 60 % of a period the closure moves
    # by 0.4 of one mark and 0.6 of the next, so two of them lie apart by
    # -0.4, -0.2 and 0.6 times three independent marks.
    expected = 0.03 * 160 * (0.4**2 + 0.2**2 + 0.6**2) ** 0.5
    assert variation["jitter"] == pytest.approx(expected, rel=0.15)
    assert variation["shimmer"] < 1.0  # found to a sample


def test_resonator_peaks_at_its_frequency_with_its_bandwidth():
    section = resonators(np.array([1500.0]), np.array([100.0]))
    frequencies = np.arange(100.0, 4000.0)
    _, response = freqz_sos(section, frequencies, fs=SAMPLE_RATE)
    gain = np.abs(response)
    assert frequencies[gain.argmax()] == pytest.approx(1500, abs=5)
    above_half_power = frequencies[gain > gain.max() / 2**0.5]
    assert np.ptp(above_half_power) == pytest.approx(100, abs=5)


def test_blocks_leave_no_seams():
    """Steady formants: as one filter over the whole signal."""
    formants = np.tile([500.0, 1500.0, 2500.0], (20, 1))
    bandwidths = np.tile([60.0, 90.0, 150.0], (20, 1))
    source = np.random.default_rng(0).standard_normal(20 * BLOCK)
    whole = sosfilt(resonators(formants[0], bandwidths[0]), source)
    np.testing.assert_allclose(
        formant_filter(source, formants, bandwidths), whole, atol=1e-9
    )


def test_tracks_are_interpolated_between_block_centres():
    ramp = per_sample(np.arange(10.0))
    inside = slice(BLOCK // 2, -BLOCK // 2)
    expected = (np.arange(10 * BLOCK) / BLOCK - 0.5)[inside]
    np.testing.assert_allclose(ramp[inside], expected, atol=1e-12)
