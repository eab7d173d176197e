"""Both sides of a comparison do the same work, or there is no comparison."""

import sys

import pytest
import torch


class PlainPeer:
    """The plain arrangement in FunASR's place, which is not installed here."""

    def __init__(self, script, encoder, wrong_by=0.0):
        self.plain = script("plain_pretraining")
        self.encoder, self.wrong_by = encoder, wrong_by

    def frames(self, wav):
        wav = torch.nn.functional.layer_norm(wav, wav.shape)
        return self.plain.encode(self.encoder, wav[None])[0] + self.wrong_by


def tiny_encoder(script):
    return script("weights").random_encoder(**script("weights").TINY)


def test_extractor_equals_the_plain_arrangement(script):
    inference, weights = script("inference"), script("weights")
    encoder = tiny_encoder(script)
    clips = [weights.random_speech(0.5, seed) for seed in range(3)]
    peer = PlainPeer(script, encoder)
    fp32, bf16 = inference.compare("clip_3s", encoder, peer, clips, 1)
    assert (fp32.key, bf16.key) == ("clip_3s_fp32", "clip_3s_bf16")
    assert fp32.figure > 0 and fp32.checks["error"] <= 1e-4


def test_wrong_results_are_not_timed(script):
    encoder = tiny_encoder(script)
    peer = PlainPeer(script, encoder, wrong_by=1e-3)
    clips = [script("weights").random_speech(0.5)]
    with pytest.raises(SystemExit, match="results differ"):
        list(script("inference").compare("clip_3s", encoder, peer, clips, 1))


@pytest.fixture
def case(script):
    step = script("pretraining_step")
    return step.Case(script("weights").TINY, 2, 0.5, 24)


def test_plain_loss_and_gradients_equal_ours(case):
    assert max(case.compare().values()) <= 1e-4


def test_plain_updates_equal_ours(case):
    for _ in range(2):
        assert case.our_step() == pytest.approx(case.plain_step(), rel=1e-4)
    for ours, plain in zip(case.ours, case.plain, strict=True):
        for own, theirs in zip(
            ours.parameters(), plain.parameters(), strict=True
        ):
            torch.testing.assert_close(own, theirs, atol=1e-5, rtol=0)


def test_another_gradient_is_noticed(script, case):
    with torch.no_grad():
        case.plain[1].context.alibi.scale += 0.5  # of the teacher
    with pytest.raises(SystemExit, match="results differ"):
        list(script("pretraining_step").compare("step_small", case, 1))


def test_the_peer_says_how_to_install_it(script, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(SystemExit, match="bench"):
        script("peer").load_funasr(tmp_path)
