"""Every wrong document gives one line with file, key and way out."""

import json
import os
from typing import Annotated

import msgspec
import pytest

from speechbrain_e2v.files.documents import BadDocument, read_json, read_yaml


class Inner(msgspec.Struct):
    rate: float


class Settings(msgspec.Struct):
    embed_dim: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    labels: list[str] = []
    inner: Inner | None = None


GOOD = {"embed_dim": 8, "labels": ["sad"], "inner": {"rate": 0.5}}


def line_of(path, read, kind=Settings, **options):
    with pytest.raises(BadDocument) as caught:
        read(path, kind, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert message.endswith(".") and len(message) < 400 + len(str(path))
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_good_ones(tmp_path, read):
    path = tmp_path / "good"
    path.write_text("\ufeff" + json.dumps(GOOD), encoding="utf-8")
    assert read(path, Settings) == msgspec.convert(GOOD, Settings)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent", Settings)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"embed_dim": "8"}, "embed_dim: expected `int`, got `str`"),
        ({"embed_dim": True}, "embed_dim: expected `int`, got `bool`"),
        ({"embed_dim": 10**9}, "embed_dim: expected `int` <= 4096"),
        ({"embed_dim": None}, "embed_dim: expected `int`, got `null`"),
        ({"labels": ["a", 3]}, "labels[1]: expected `str`, got `int`"),
        ({"labels": {}}, "labels: expected `array`, got `object`"),
        ({"inner": {}}, "inner: object missing required field `rate`"),
        ({"inner": {"rate": []}}, "inner.rate: expected `float`"),
    ],
)
@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_a_value_of_another_kind(tmp_path, read, changes, says):
    path = tmp_path / "document"
    path.write_text(json.dumps({**GOOD, **changes}))
    assert line_of(path, read).startswith(says)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "expected|truncated"),
        (b"[]", "expected `object`, got `array`"),
        (b'{"embed_dim": 8', "truncated|expected ',' or '}'"),
        (b'{"embed_dim": 8, "labels": ["\xff"]}', "utf-8"),
        (b'{"embed_dim": 8, "unknown\xff": 1}', "utf-8"),
        ('{"embed_dim": 8}'.encode("utf-16"), "UTF-16, where UTF-8 is read"),
        (b'{"embed_dim": 8, "x": ' + b"[" * 10**6, "nested|expected"),
        (b'{"a":' * 10**5 + b"1" + b"}" * 10**5, "nested"),
    ],
)
@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_broken_text(tmp_path, read, content, says):
    path = tmp_path / "document"
    path.write_bytes(content)
    message = line_of(path, read, max_bytes=2**21)
    assert any(part in message for part in says.split("|")), message


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_numbers_are_finite(tmp_path, value):
    path = tmp_path / "document"
    path.write_text(f'{{"rate": {value}}}')
    line_of(path, read_json, Inner)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate: .nan", ".nan is no finite number"),
        ("rate: -.inf", "-.inf is no finite number"),
        ("rate: 1\nrate: 2", "'rate' is there twice"),
        ("rate: &a 1\nother: *a", "the alias *a is not allowed"),
        ("rate: !!python/name:os.system x", "line 1: could not determine"),
        ("rate: !ref <x>", "line 1: could not determine"),
        ("? [1]\n: 2", "is no key"),
        ("rate: 1\n\tother: 2", "line 2: "),
        ("rate: \x07", "control characters"),
        ("- " * 100 + "1", "nested deeper than 64"),
    ],
)
def test_yaml_of_plain_values_only(tmp_path, text, says):
    path = tmp_path / "document"
    path.write_text(text)
    assert says in line_of(path, read_yaml, Inner)


@pytest.mark.parametrize("text", ["1e-5", "1.0e-05", "1E-5", "0.00001"])
def test_yaml_numbers(tmp_path, text):
    path = tmp_path / "document"
    path.write_text(f"rate: {text}")
    assert read_yaml(path, Inner).rate == 1e-5


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_bounds_and_pipes(tmp_path, read):
    path = tmp_path / "large"
    path.write_text(json.dumps(GOOD))
    size = path.stat().st_size
    assert read(path, Settings, max_bytes=size)
    assert line_of(path, read, max_bytes=10, way_out="cut it") == (
        f"{size} bytes, where 10 are the most: cut it."
    )
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in line_of(tmp_path / "pipe", read)


def test_a_key_that_steers_the_terminal_is_escaped(tmp_path):
    class Sizes(msgspec.Struct, forbid_unknown_fields=True):
        depth: int = 8

    path = tmp_path / "sizes.yaml"
    path.write_text('"\\e[2J": 1')
    with pytest.raises(BadDocument) as error:
        read_yaml(path, Sizes)
    assert str(error.value).isprintable()
    assert "x1b[2J" in str(error.value)
