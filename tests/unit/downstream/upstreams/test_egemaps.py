"""eGeMAPS against openSMILE itself."""

import builtins

import numpy as np
import pytest
import torch

from speechbrain_e2v.downstream.upstreams.egemaps import Egemaps


def voice(seconds, pitch, seed=0):
    """Pulses through two resonances: something with pitch and formants."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    wave = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in range(1, 20))
    wave += 0.01 * generator.standard_normal(len(time))
    return torch.from_numpy(0.1 * wave).float()


def test_functionals_are_opensmiles():
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals
    )
    upstream = Egemaps()
    waveforms = [voice(1.0, 120.0), voice(0.5, 220.0)]
    found = upstream.extract(waveforms)
    for wave, vector in zip(waveforms, found, strict=True):
        expected = smile.process_signal(wave.numpy(), 16000)
        assert vector.shape == (upstream.dim,) == (len(expected.columns),)
        np.testing.assert_allclose(vector, expected.values[0], rtol=1e-5)
    pitch = list(smile.feature_names).index("F0semitoneFrom27.5Hz_sma3nz_amean")
    for vector, expected in zip(found, (120.0, 220.0), strict=True):
        assert 27.5 * 2 ** (vector[pitch] / 12) == pytest.approx(
            expected, rel=0.02
        )


@pytest.mark.parametrize("samples", [1, 400, 1599])
def test_short_and_silent_ones_have_numbers(samples):
    pytest.importorskip("opensmile")
    vectors = Egemaps().extract([torch.zeros(samples), voice(0.1, 100)])
    assert all(torch.isfinite(vector).all() for vector in vectors)


def test_without_opensmile(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "opensmile":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"speechbrain_e2v\[egemaps\]"):
        Egemaps()
