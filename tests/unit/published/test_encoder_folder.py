"""Encoder folders: what is read is what was written, or refused by name."""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from unit.published.published_tiny import (
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.published.convert import convert
from speechbrain_e2v.published.encoder_folder import (
    SIZES,
    load_encoder,
    load_head,
    read_card,
    save_encoder,
)
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import load_pretrained, read_pretrained


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    source, _ = write_funasr(folder / "plus", tiny_pair()[0], NINE_TOKENS)
    convert(source, folder / "encoder")
    return folder / "encoder"


@pytest.fixture
def folder(converted, tmp_path):
    return shutil.copytree(converted, tmp_path / "encoder")


def one_line(error, *parts):
    text = str(error.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text, text


@pytest.mark.parametrize("name", ["encoder.safetensors", "head.safetensors"])
def test_twenty_flipped_bits_are_refused_by_name(folder, name):
    path = folder / name
    whole = path.read_bytes()
    data = 8 + int.from_bytes(whole[:8], "little")
    chance = random.Random(20)
    for _ in range(20):
        flipped = bytearray(whole)
        place = chance.randrange(data, len(whole))
        flipped[place] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match="not what was written") as error:
            read_pretrained(folder)
        one_line(error, path, "card.json", "copy")


def test_changed_sizes_and_labels_are_refused_by_name(folder):
    path = folder / "encoder.yaml"
    whole = path.read_text()
    assert "norm_eps: 1.0e-05" in whole
    path.write_text(whole.replace("norm_eps: 1.0e-05", "norm_eps: 1.0e-03"))
    with pytest.raises(ValueError, match="not what was written") as error:
        load_pretrained(folder)
    one_line(error, path)
    # Another spelling is no change.
    path.write_text(whole.replace("1.0e-05", "0.00001").replace("4.0", "4"))
    load_pretrained(folder)
    labels = folder / "labels.json"
    labels.write_text(labels.read_text("utf-8").replace("angry", "bngry"))
    with pytest.raises(ValueError, match="not what was written") as error:
        read_pretrained(folder)
    one_line(error, labels, "card.json")


def test_folders_of_earlier_versions_have_fewer_digests(folder):
    path = folder / "card.json"
    card = json.loads(path.read_text("utf-8"))
    for name in ("sizes", "head", "labels"):
        del card[f"{name}_sha256"]
    path.write_text(json.dumps(card))
    assert load_head(folder) is not None
    load_encoder(folder)
    path.unlink()
    load_encoder(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"embed_dim": 10**9}, "embed_dim"),
        ({"depth": 10**9}, "depth"),
        ({"depth": -1}, "depth"),
        ({"num_heads": 0}, "num_heads"),
        ({"num_heads": 5}, "num_heads is 5, which does not divide"),
        ({"pos_conv_groups": 5}, "pos_conv_groups is 5"),
        ({"conv_kernels": [10**9] * 7}, "conv_kernels"),
        ({"conv_kernels": [2]}, "conv_kernels"),
        ({"conv_channels": "many"}, "conv_channels"),
        ({"dropout": 2}, "dropout"),
        ({"mlp_ratio": 1e9}, "mlp_ratio"),
        ({"norm_eps": None}, "norm_eps"),
        ({"surprise": 1}, "surprise"),
        (["a list"], "object"),
        ("text", "object"),
        (None, "object"),
    ],
)
def test_impossible_sizes_are_refused_before_anything_is_built(
    folder, change, named
):
    path = folder / "encoder.yaml"
    sizes = yaml.safe_load(path.read_text())
    changed = {**sizes, **change} if isinstance(change, dict) else change
    path.write_text(yaml.safe_dump(changed))
    with pytest.raises(ValueError) as error:
        load_encoder(folder)
    one_line(error, path, named)


def test_a_size_that_is_missing(folder):
    path = folder / "encoder.yaml"
    sizes = yaml.safe_load(path.read_text())
    del sizes["conv_strides"]
    path.write_text(yaml.safe_dump(sizes))
    with pytest.raises(ValueError, match="conv_strides") as error:
        load_encoder(folder)
    one_line(error, path)


def test_sizes_of_a_giant_are_compared_with_the_tensors_first(folder):
    """Within the bounds, and yet 650 GB of weights."""
    for name in ("encoder.yaml", "card.json"):
        path = folder / name
        value = yaml.safe_load(path.read_text("utf-8"))
        if name == "encoder.yaml":
            value |= {"embed_dim": 16384, "depth": 200, "pos_conv_groups": 4}
        else:
            del value["sizes_sha256"]
        path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match="does not fit.*\n.*missing"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[]", "expected `object`"),
        ('{"name": 7}', "name"),
        ('{"labels": {"a": 1}}', "labels"),
        ('{"pretraining": ["EmoDB"]}', "pretraining"),
        ('{"weights_sha256": 5}', "weights_sha256"),
        ('{"name": "\\u001b[2J"}', "cannot be shown"),
        ('{"name"', "truncated"),
        ("[" * 100_000, "expected"),
    ],
)
def test_cards_of_another_shape(folder, content, named):
    (folder / "card.json").write_text(content)
    with pytest.raises(ValueError) as error:
        load_pretrained(folder)
    one_line(error, folder / "card.json", named)


def test_a_head_and_labels_of_another_one(folder):
    (folder / "card.json").unlink()
    (folder / "labels.json").write_text('[{"id": "a", "published": "a"}]')
    with pytest.raises(ValueError, match=r"weight is \(9, 48\), should be"):
        load_head(folder)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{}", "array"),
        ('[{"id": "a"}]', "published"),
        ('[{"id": "a", "published": 1}]', "published"),
        ('[{"id": "\\u202e", "published": "a"}]', "cannot be shown"),
        ('[{"id": "a", "published": "a"}]', "not what was written"),
    ],
)
def test_labels_of_another_shape(folder, content, named):
    (folder / "labels.json").write_text(content)
    with pytest.raises(
        ValueError, match=r"labels\.json|head\.safetensors"
    ) as e:
        load_head(folder)
    assert named in str(e.value)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "model.pt")
    with pytest.raises(FileNotFoundError, match=r"model\.pt"):
        read_pretrained(tmp_path / "model.pt")


def test_cells_of_the_readme_stay_in_their_row(tmp_path):
    encoder = tiny_pair()[0].encoder
    save_encoder(tmp_path, encoder, {"overrides": "a: 1\nb: 2 | c"})
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "| overrides | a: 1<br>b: 2 \\| c |\n" in text


FULL = """
import resource, signal, sys
from speechbrain_e2v.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for arguments in sys.argv[1:]:
    assert main(["convert", *arguments.split("|")]) == 1
"""


def test_a_disk_that_is_full_is_told_in_one_line(tmp_path):
    source = write_fairseq(tmp_path / "a.pt", tiny_pair()[0])
    there = [tmp_path / "b.pt", tmp_path / "c", tmp_path / "d"]
    calls = [
        f"{source}|{there[0]}|--to|fairseq",
        f"{source}|{there[1]}|--to|funasr",
        f"{source}|{there[2]}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *calls], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(there)
    for line, path in zip(lines, there, strict=True):
        assert str(path) in line
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [source]


def test_an_encoder_stays_when_its_successor_cannot_be_written(tmp_path):
    student = tiny_pair()[0]
    source = write_fairseq(tmp_path / "a.pt", tiny_pair(seed=1)[0])
    folder = save_encoder(tmp_path / "encoder", student.encoder, {})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    call = f"{source}|{folder}|--overwrite"
    subprocess.run([sys.executable, "-c", FULL, call], check=True)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_card_that_was_read_is_the_card_that_was_written(tmp_path):
    card = {
        "pretraining": {"EmoDB": 0.4, "nEMO": None},
        "seed": 3,
        "overrides": {"a": [1, {"b": None}]},
    }
    save_encoder(tmp_path, tiny_pair()[0].encoder, card)
    found = read_card(tmp_path)
    assert {key: found[key] for key in card} == card


def test_the_card_is_one_table_without_raw_numbers_or_local_paths(tmp_path):
    save_encoder(
        tmp_path,
        tiny_pair()[0].encoder,
        {
            "origin": "a|b\n<script>",
            "pretraining": {"X|Y": 0.1260088888888889, "Z": None},
            "overrides": "lr: 0.1\noutput_folder: /scratch/ann/run\n",
            "loss": 0.1260088888888889,
        },
    )
    text = (tmp_path / "README.md").read_text("utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert text.rstrip().splitlines()[-len(table) :] == table
    cells = re.compile(r"(?<!\\)\|")
    assert {len(cells.findall(line)) for line in table} == {3}
    assert "| pretraining | X\\|Y: 0.13 h, Z |" in table
    assert "| overrides | lr: 0.1<br>output_folder: run |" in table
    assert "| loss | 0.126 |" in table
    assert "<script>" not in text


def test_the_kind_stands_in_the_sizes(tmp_path):
    encoder = Data2vec1Encoder(48, 4, 1, conv_channels=16, pos_conv_groups=4)
    folder = save_encoder(tmp_path, encoder, {})
    sizes = folder / SIZES
    text = sizes.read_text("utf-8")
    assert text.startswith("kind: data2vec1\n")
    assert type(load_encoder(folder)) is Data2vec1Encoder
    sizes.write_text(text.replace("data2vec1", "hubert"), "utf-8")
    with pytest.raises(ValueError, match="kind is hubert; known are emotion"):
        load_encoder(folder)
    sizes.write_text(text.replace("kind: data2vec1\n", ""), "utf-8")
    with pytest.raises(ValueError, match="required field `prenet_depth`"):
        load_encoder(folder)
