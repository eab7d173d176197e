"""`e2v doctor`: well here, and seeing what is broken."""

import types

import pytest

from speechbrain_e2v.cli import main
from speechbrain_e2v.lobes.positional import RelativePositionalConv
from speechbrain_e2v.tools import doctor


def lines_of(capsys):
    lines = capsys.readouterr().out.splitlines()
    return {line[6:18].strip(): line for line in lines}


def test_this_installation(capsys):
    assert main(["doctor"]) == 0
    lines = lines_of(capsys)
    assert "(49, 48) features" in lines["self-test"]
    assert lines["torch pair"].startswith("ok")
    assert not any(line.startswith("BAD") for line in lines.values())


@pytest.mark.parametrize(
    ("python", "state"),
    [((3, 9), "note"), ((3, 10), "ok"), ((3, 14), "ok"), ((3, 15), "note")],
)
def test_versions_of_python(monkeypatch, python, state):
    monkeypatch.setattr(doctor.sys, "version_info", (*python, 1))
    (finding,) = doctor.python()
    assert finding.state == state
    assert state == "ok" or "3.10 to 3.14" in finding.detail


def test_a_pair_of_different_releases(monkeypatch):
    versions = {"torch": "2.11.0", "torchaudio": "2.10.0"}
    monkeypatch.setattr(doctor, "version", versions.get)
    (finding,) = doctor.pair()
    assert finding.state == "BAD" and "same release" in finding.detail


def test_a_missing_package(monkeypatch, capsys):
    def version(name):
        return None if name == "safetensors" else "1.0"

    monkeypatch.setattr(doctor, "version", version)
    assert main(["doctor"]) == 1
    assert "pip install safetensors" in lines_of(capsys)["safetensors"]


def test_a_failing_self_test(monkeypatch):
    def broken(*_):
        raise RuntimeError("no kernel image\nmore")

    monkeypatch.setattr(RelativePositionalConv, "forward", broken)
    (finding,) = doctor.self_test()
    assert finding.state == "BAD"
    assert finding.detail == "RuntimeError: no kernel image"


@pytest.mark.parametrize(
    ("flags", "slow"),
    [
        ({"architecture": "x86_64", "avx512_bf16": False}, True),
        ({"architecture": "x86_64", "amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_emulated_bf16_is_told(flags, slow):
    cpu = types.SimpleNamespace(get_capabilities=lambda: flags)
    remark = doctor.bf16_remark(types.SimpleNamespace(cpu=cpu))
    assert ("slower" in remark) == slow


def test_a_missing_extra_says_what_for(monkeypatch):
    monkeypatch.setattr(doctor, "version", lambda name: None)
    details = {f.what: f.detail for f in doctor.extras()}
    assert "text by BERT" in details["transformers"]
    assert "speechbrain_e2v[hf]" in details["transformers"]


def test_upstreams_and_what_leaks(capsys, tmp_path, repository):
    tiny = tmp_path / "tiny.yaml"
    base = repository / "hparams" / "upstreams" / "random.yaml"
    tiny.write_text(
        f"base: {base}\narchitecture: wav2vec\nsizes: {{width: 8}}\n"
    )
    assert main(["doctor", "--upstreams", "mfcc", str(tiny), "no"]) == 1
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("ok    mfcc") and "0.0e+00 as run" in first
    assert second.startswith("ok") and "M parameters" in second
    assert "0.0e+00 as run" in second and "0.0e+00 in a" not in second
    assert third.startswith("BAD   no") and "there is no upstream" in third
