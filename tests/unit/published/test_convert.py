"""`e2v convert`: encoder folders with a card, and back bit for bit."""

import argparse
import hashlib
import json

import pytest
import torch
import yaml
from unit.published.published_tiny import (
    config,
    fairseq_content,
    tensors_of,
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.published import convert, known_checkpoints
from speechbrain_e2v.published.encoder_folder import load_encoder, load_head
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import read_pretrained
from speechbrain_e2v.tools import convert as tool


def run(*argv):
    parser = argparse.ArgumentParser()
    tool.add_arguments(parser)
    return tool.run(parser.parse_args([str(a) for a in argv]))


def tensors_in(path):
    """The state a published file holds, `_ema` flattened, by torch itself."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        state = dict(torch.load(path)["model"])
    for name, value in state.pop("_ema", {}).items():
        state[f"_ema.{name}"] = value
    return state


def same_bits(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        assert found[name].numpy().tobytes() == value.numpy().tobytes(), name


def test_fairseq_to_folder(tmp_path, capsys):
    student, teacher = tiny_pair()
    source = write_fairseq(tmp_path / "tiny.pt", student, teacher)
    folder = tmp_path / "encoder"
    assert run(source, folder) == 0
    printed = capsys.readouterr().out
    found = load_encoder(folder).state_dict()
    for name, value in student.encoder.state_dict().items():
        assert torch.equal(found[name], value)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert card["source_sha256"] == digest
    assert card["source_file"] == "tiny.pt"
    count = sum(p.numel() for p in student.encoder.parameters())
    assert card["parameters"] == count
    assert "pretraining" not in card  # nobody knows what it heard
    for line in (
        f"parameters  {count:,}",
        f"sha256 {digest}",
        f"weights   sha256 {card['weights_sha256']}",
        "not known: treat every corpus as heard",
        "decoder: 10 tensors",
        "not needed for inference",
    ):
        assert line in printed
    assert str(tmp_path) not in json.dumps(card)
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "README.md",
        "card.json",
        "encoder.safetensors",
        "encoder.yaml",
    }
    assert {p.name for p in tmp_path.iterdir()} == {"tiny.pt", "encoder"}


def test_funasr_to_folder_keeps_head_labels_and_known_card(
    tmp_path, monkeypatch, capsys
):
    tiny = known_checkpoints.KnownCheckpoint(
        "tiny_plus",
        "https://example.org",
        "some licence",
        "keep the name tiny_plus",
        {"IEMOCAP": 7.0},
        embed_dim=48,
        num_extra_tokens=3,
        finetuning={"EmoDB": None},
    )
    monkeypatch.setattr(known_checkpoints, "KNOWN", (tiny,))
    text = yaml.safe_dump({"model_conf": config()})
    source, head = write_funasr(
        tmp_path / "tiny_plus", tiny_pair()[0], NINE_TOKENS, text
    )
    folder = tmp_path / "out" / "encoder"
    run(source, folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    assert card["name"] == "tiny_plus"
    assert card["licence"] == "some licence"
    assert card["pretraining"] == {"IEMOCAP": 7.0}
    assert card["finetuning"] == {"EmoDB": None}
    assert "keep the name tiny_plus" in capsys.readouterr().out
    assert "tiny_plus" in (folder / "README.md").read_text("utf-8")
    kept = load_head(folder)
    assert torch.equal(kept.weight, head["proj.weight"])
    assert [label.published for label in kept.labels] == list(NINE_TOKENS)
    assert read_pretrained(folder).head.ids == card["labels"]


def test_fairseq_round_trip_is_bit_exact(tmp_path):
    student, teacher = tiny_pair()
    first = write_fairseq(tmp_path / "a.pt", student, teacher)
    run(first, tmp_path / "b.pt", "--to", "fairseq")
    same_bits(tensors_in(tmp_path / "b.pt"), tensors_in(first))
    run(first, tmp_path / "folder")
    run(tmp_path / "folder", tmp_path / "c.pt", "--to", "fairseq")
    same_bits(tensors_in(tmp_path / "c.pt"), tensors_of(student.encoder))
    assert (
        read_pretrained(tmp_path / "c.pt").encoder.config
        == read_pretrained(first).encoder.config
    )


def test_funasr_round_trip_is_bit_exact(tmp_path):
    source, _ = write_funasr(tmp_path / "a", tiny_pair()[0], NINE_TOKENS)
    run(source, tmp_path / "folder")
    run(tmp_path / "folder", tmp_path / "b", "--to", "funasr")
    same_bits(
        tensors_in(tmp_path / "b" / "model.pt"),
        tensors_in(source / "model.pt"),
    )
    tokens = (tmp_path / "b" / "tokens.txt").read_text("utf-8").split()
    assert tokens == list(NINE_TOKENS)
    settings = yaml.safe_load((tmp_path / "b" / "config.yaml").read_text())
    conf = settings["model_conf"]
    assert conf["normalize"] is True
    # FunASR's class reads these without a default.
    audio = conf["modalities"]["audio"]
    for part in (conf, audio):
        assert part["start_drop_path_rate"] == part["end_drop_path_rate"] == 0
    assert audio["decoder"] is None


def test_what_is_there_stays_unless_overwritten(tmp_path):
    student, _ = tiny_pair()
    with_head, _ = write_funasr(tmp_path / "plus", student, NINE_TOKENS)
    folder = tmp_path / "folder"
    run(with_head, folder)
    (folder / "notes.txt").write_text("mine")
    before = (folder / "encoder.safetensors").read_bytes()
    other = write_fairseq(tmp_path / "b.pt", tiny_pair(seed=1)[0])
    with pytest.raises(FileExistsError, match="--overwrite"):
        run(other, folder)
    assert (folder / "encoder.safetensors").read_bytes() == before
    run(other, folder, "--overwrite")
    assert (folder / "encoder.safetensors").read_bytes() != before
    assert (folder / "notes.txt").read_text() == "mine"
    assert load_head(folder) is None  # the old model's head is gone


def test_a_failed_conversion_leaves_nothing(tmp_path):
    content = fairseq_content(tiny_pair()[0])
    del content["model"]["blocks.0.norm1.bias"]
    torch.save(content, tmp_path / "broken.pt")
    with pytest.raises(ValueError, match="missing"):
        run(tmp_path / "broken.pt", tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["broken.pt"]


def test_features_that_overflow_are_said(tmp_path):
    student, _ = tiny_pair()
    for name, value in student.encoder.named_parameters():
        if value.dim() > 1 and name.startswith("frontend"):
            value.data *= 1e20
    source = write_fairseq(tmp_path / "tiny.pt", student)
    with pytest.raises(ValueError, match="features are not finite"):
        run(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_destinations_are_found_before_reading(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file; a folder is written"):
        run("no/source/here", tmp_path / "file")
    with pytest.raises(ValueError, match="is a folder; the fairseq layout"):
        run("no/source/here", tmp_path, "--to", "fairseq")


def test_a_folder_is_not_converted_to_itself(tmp_path):
    source = write_fairseq(tmp_path / "a.pt", tiny_pair()[0])
    run(source, tmp_path / "folder")
    with pytest.raises(ValueError, match="encoder folder already"):
        run(tmp_path / "folder", tmp_path / "again")


def test_a_copy_with_other_numbers_is_reported(tmp_path, monkeypatch):
    source = write_fairseq(tmp_path / "a.pt", tiny_pair()[0])
    wrong = tiny_pair(seed=3)[0].encoder
    monkeypatch.setattr(convert, "load_encoder", lambda folder: wrong)
    with pytest.raises(RuntimeError, match="does not give the same numbers"):
        run(source, tmp_path / "folder")
