"""Mutated files of models: checkpoints of three layouts, encoder folders.

Each case is one file changed in a folder that could be read before. Whatever
it is, a model comes out, or an error that is told in words.
"""

import copy
import io
import json
import random
import shutil
import struct
import sys
import zipfile

import torch
import yaml
from safetensors.torch import save_file
from unit.published.published_tiny import (
    config,
    tensors_of,
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.published.convert import convert
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import read_pretrained

ODD = [
    None, True, False, 0, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", "x",
    "x" * 5000, "\x1b[2J", "\u202e", "1e-5", "../../x", [], {}, [[]], [1, "a"],
    {"a": {"b": []}}, [None] * 1000,
]  # fmt: skip


def command(path):
    """The command line that reads a case."""
    return [sys.executable, "-m", "speechbrain_e2v.cli", "convert",
            str(path), str(path) + ".out"]  # fmt: skip


def outcome(path):
    """Read a case in this process: "read", or the error told to its user.

    Anything but ValueError and OSError is raised: a traceback for the user.
    """
    try:
        read_pretrained(path)
    except (ValueError, OSError) as error:
        text = str(error)
        assert text.isprintable() or text.replace("\n", "").isprintable(), text
        assert len(text) < 10_000, text[:1000]
        return text
    return "read"


def models(folder):
    """Write a model in each layout; yield its path and files to mutate."""
    student, teacher = tiny_pair()
    path = write_fairseq(folder / "fairseq.pt", student, teacher)
    yield path, [path]
    older = folder / "older.pt"
    torch.save(
        {"cfg": config(), "model": tensors_of(student.encoder)},
        older,
        _use_new_zipfile_serialization=False,
    )
    yield older, [older]
    text = yaml.safe_dump({"model": "Emotion2vec", "model_conf": config()})
    funasr, _ = write_funasr(folder / "funasr", student, NINE_TOKENS, text)
    names = ("model.pt", "config.yaml", "tokens.txt")
    yield funasr, [funasr / name for name in names]
    flat = folder / "flat"
    flat.mkdir()
    save_file(tensors_of(student.encoder), flat / "model.safetensors")
    (flat / "config.json").write_text(json.dumps(config()))
    yield flat, [flat / "model.safetensors", flat / "config.json"]
    encoder = folder / "encoder"
    convert(funasr, encoder)
    names = ("encoder.safetensors", "encoder.yaml", "card.json")
    names += ("head.safetensors", "labels.json")
    yield encoder, [encoder / name for name in names]


def cases(seed, folder, count=500):
    """Yield (name, path) of mutated models; each is gone when the next comes.

    The same seed gives the same cases.
    """
    chance = random.Random(seed)
    made = list(models(folder))
    for number in range(count):
        model, files = made[number % len(made)]
        file = chance.choice(files)
        original = file.read_bytes()
        mutate = chance.choice(_mutations_of(file))
        try:
            file.write_bytes(mutate(original, chance))
            yield f"{number} {file.name} {mutate.__name__}", model
        finally:
            file.write_bytes(original)
    shutil.rmtree(folder)


def _mutations_of(file):
    general = [flipped_bits, changed_bytes, cut_off, repeated, removed]
    if file.suffix == ".pt":
        special = [changed_pickle, changed_content]
        return general + (special * 2 if file.name != "older.pt" else [])
    if file.suffix == ".safetensors":
        return [*general, changed_header, changed_header]
    if file.suffix in (".yaml", ".json"):
        return [*general, changed_document, changed_document]
    return [*general, changed_lines]


def flipped_bits(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def changed_bytes(data, chance):
    place, length = chance.randrange(len(data)), chance.choice([1, 4, 64])
    return data[:place] + chance.randbytes(length) + data[place + length :]


def cut_off(data, chance):
    return data[: chance.randrange(len(data))]


def repeated(data, chance):
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.randrange(1, 1000))
    return data[:stop] + data[start:stop] * chance.choice([1, 30]) + data[stop:]


def removed(data, chance):
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randrange(1, 1000) :]


def changed_pickle(data, chance):
    """Change the pickle of a zip archive, whose sums are right again."""
    source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    mutate = chance.choice([flipped_bits, changed_bytes, repeated, removed])
    with zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                content = mutate(content, chance)
            archive.writestr(entry.filename, content)
    return target.getvalue()


def changed_content(data, chance):
    """Put something odd into what torch.save was given."""
    with torch.serialization.safe_globals([_namespace()]):
        content = torch.load(io.BytesIO(data))
    target = io.BytesIO()
    torch.save(_odd(content, chance), target)
    return target.getvalue()


def _namespace():
    import argparse

    return argparse.Namespace


def changed_header(data, chance):
    """Change the JSON before the numbers of a safetensors file."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    text = json.dumps(_odd(header, chance)).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def changed_document(data, chance):
    value = _odd(yaml.safe_load(data), chance)
    if chance.random() < 0.5:
        return json.dumps(value).encode()
    return yaml.safe_dump(value).encode()


def changed_lines(data, chance):
    lines = data.split(b"\n")
    odd = [b"", b"\x1b[2J", b"\xff\xfe", b"a" * 5000, lines[0], "ï".encode()]
    lines[chance.randrange(len(lines))] = chance.choice(odd)
    return b"\n".join(lines)


def _odd(value, chance):
    """Copy a document with one value, key or item made odd."""
    value = copy.deepcopy(value)
    parent = _Root(value)
    key, place = "value", parent
    while True:  # walk down, and stop anywhere
        inside = place.value if place is parent else place[key]
        if not isinstance(inside, (dict, list)) or not inside:
            break
        if place is not parent and chance.random() < 0.3:
            break
        place = inside
        key = (
            chance.choice(list(place))
            if isinstance(place, dict)
            else chance.randrange(len(place))
        )
    odd = chance.choice([*ODD, torch.ones(3)])
    if not isinstance(value, dict) or not _has_tensors(value):
        odd = chance.choice(ODD)
    if place is parent:
        return odd
    if isinstance(place, dict) and chance.random() < 0.3:
        moved = place.pop(key)
        if chance.random() < 0.5:
            place[str(chance.choice(ODD))[:300]] = moved
    else:
        place[key] = odd
    return value


class _Root:
    def __init__(self, value):
        self.value = value


def _has_tensors(value):
    inside = value.values() if isinstance(value, dict) else ()
    return any(isinstance(v, torch.Tensor) or _has_tensors(v) for v in inside)
