"""Pre-training that starts from published weights."""

import argparse
import hashlib
import re
from pathlib import Path

import huggingface_hub
import pytest
import torch
from unit.published.published_tiny import (
    fairseq_content,
    tiny_pair,
    write_fairseq,
)

from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.pretraining.data2vec1_student import Data2vec1Student
from speechbrain_e2v.pretraining.initialise import initialise
from speechbrain_e2v.pretraining.teacher import Data2vec1Teacher
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.published.hub import SourceNotFound
from speechbrain_e2v.published.known_checkpoints import known_checkpoint
from speechbrain_e2v.training.yaml_bases import merged_yaml


def same(module, other):
    pairs = zip(
        module.state_dict().items(), other.state_dict().items(), strict=True
    )
    for (name, value), (_, expected) in pairs:
        assert torch.equal(value, expected), name


def test_student_decoder_and_teacher_come_from_the_file(tmp_path):
    theirs, their_teacher = tiny_pair()
    path = write_fairseq(tmp_path / "x.pt", theirs, their_teacher)
    student, teacher = tiny_pair(seed=9)
    told = initialise(student, teacher, path)
    same(student, theirs)
    same(teacher.context, their_teacher.context)
    assert "its teacher (_ema)" in told and "its decoder" in told


def test_tokens_stay_fresh_when_the_file_has_none(tmp_path):
    theirs, their_teacher = tiny_pair(num_extra_tokens=0)
    path = write_fairseq(tmp_path / "base.pt", theirs, their_teacher)
    student, teacher = tiny_pair(seed=9)
    fresh = student.encoder.context.extra_tokens.detach().clone()
    told = initialise(student, teacher, path)
    assert "fresh extra tokens" in told
    assert torch.equal(student.encoder.context.extra_tokens, fresh)
    assert torch.equal(teacher.context.extra_tokens, fresh)
    same(student.encoder.frontend, theirs.encoder.frontend)
    same(teacher.context.blocks, their_teacher.context.blocks)
    assert not torch.equal(
        teacher.context.norm.bias, student.encoder.context.norm.bias
    )


def test_without_teacher_and_decoder(tmp_path):
    theirs, _ = tiny_pair()
    content = fairseq_content(theirs)
    state = content["model"]
    content["model"] = {k: v for k, v in state.items() if "decoder" not in k}
    torch.save(content, tmp_path / "x.pt")
    student, teacher = tiny_pair(seed=9)
    decoder = [p.detach().clone() for p in student.decoder.parameters()]
    told = initialise(student, teacher, tmp_path / "x.pt")
    assert "fresh decoder" in told and "teacher = student" in told
    same(teacher.context, theirs.encoder.context)
    for now, before in zip(student.decoder.parameters(), decoder, strict=True):
        assert torch.equal(now, before)


def test_other_sizes_change_nothing(tmp_path):
    theirs, teacher_of_theirs = tiny_pair(num_extra_tokens=5)
    path = write_fairseq(tmp_path / "x.pt", theirs, teacher_of_theirs)
    student, teacher = tiny_pair(seed=9)
    before = [p.detach().clone() for p in student.parameters()]
    with pytest.raises(ValueError, match=r"extra_tokens is \(5, 48\)"):
        initialise(student, teacher, path)
    for now, then in zip(student.parameters(), before, strict=True):
        assert torch.equal(now, then)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of downloads, and none may be made."""
    real, assets = huggingface_hub.cached_assets_path, tmp_path / "assets"
    monkeypatch.setattr(
        huggingface_hub,
        "cached_assets_path",
        lambda *names, **_: real(*names, assets_dir=assets),
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return assets


def test_the_papers_run_starts_from_a_known_name(cache):
    """Table 8: from data2vec 2.0 71.79, from random weights 61.34."""
    folder = Path(__file__).resolve().parents[3] / "hparams"
    starts = {
        name: re.findall(
            r"^initialise_from: *([\w-]*)",
            merged_yaml(folder / f"{name}.yaml"),
            flags=re.MULTILINE,
        )
        for name in ("pretrain", "pretrain_cold")
    }
    assert starts["pretrain"] == ["data2vec2-base"]
    assert starts["pretrain_cold"] in (["null"], [""])
    with pytest.raises(SourceNotFound, match="downloads are switched off"):
        initialise(*tiny_pair(), "data2vec2-base")


def test_a_known_name_is_taken_from_the_cache(cache):
    theirs, their_teacher = tiny_pair(num_extra_tokens=0)
    known = known_checkpoint(["data2vec2-base"])
    place = huggingface_hub.cached_assets_path(
        "speechbrain_e2v", "checkpoints", known.name
    )
    path = write_fairseq(place / "base_libri.pt", theirs, their_teacher)
    student, teacher = tiny_pair(seed=9)
    told = initialise(student, teacher, "data2vec2-base")
    same(student.encoder.frontend, theirs.encoder.frontend)
    same(teacher.context.blocks, their_teacher.context.blocks)
    assert told.startswith("encoder of data2vec2-base; fresh extra tokens")
    assert told.endswith(hashlib.sha256(path.read_bytes()).hexdigest())


def test_another_kind_of_encoder_is_refused(tmp_path):
    encoder = Data2vec1Encoder(48, 4, 2, conv_channels=32, pos_conv_groups=4)
    folder = save_encoder(tmp_path, encoder, {"name": "x"})
    student, teacher = tiny_pair(seed=9)
    with pytest.raises(ValueError, match="data2vec1 encoder, but this yaml"):
        initialise(student, teacher, folder)


@pytest.mark.parametrize("final_proj", [True, False])
def test_data2vec1_comes_from_the_published_layout(
    tmp_path, golden, final_proj
):
    state = golden("d2v1_tiny_fairseq_state.safetensors")
    if not final_proj:  # HuggingFace keeps none
        state = {k: v for k, v in state.items() if "final_proj" not in k}
    ema = {k: state.pop(k) for k in list(state) if k.startswith("_ema.")}
    state["_ema"] = {k.removeprefix("_ema."): v for k, v in ema.items()}
    model = argparse.Namespace(encoder_attention_heads=4)
    torch.save({"cfg": {"model": model}, "model": state}, tmp_path / "a.pt")
    encoder = Data2vec1Encoder(48, 4, 3, 5, conv_channels=32, pos_conv_groups=4)
    student = Data2vec1Student(encoder, torch.nn.Linear(48, 48))
    teacher = Data2vec1Teacher(student, top_k=2)
    before = student.decoder.bias.detach().clone()
    tokens = encoder.context.extra_tokens.detach().clone()
    told = initialise(student, teacher, tmp_path / "a.pt")
    assert "its mask embedding; its teacher (_ema)" in told
    assert ("its decoder" if final_proj else "fresh decoder") in told
    assert torch.equal(student.mask_embedding, state["mask_emb"])
    expected = state["final_proj.bias"] if final_proj else before
    assert torch.equal(student.decoder.bias, expected)
    for context in (encoder.context, teacher.context):
        assert torch.equal(context.extra_tokens, tokens)
    for context, norm in (
        (encoder.context, state["encoder.layer_norm.bias"]),
        (teacher.context, state["_ema"]["layer_norm.bias"]),
    ):
        assert torch.equal(context.norm.bias, norm)
