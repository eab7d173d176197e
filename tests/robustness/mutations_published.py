"""Mutated files of models: checkpoints of three layouts, encoder folders.

Each case is one file changed in a folder that could be read before. Whatever
it is, a model comes out, or an error that is told in words.
"""

import argparse
import io
import json
import random
import shutil
import struct
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

from speechbrain_e2v.cli import main
from speechbrain_e2v.published.convert import convert
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import read_pretrained
from tests.robustness.mutations import (
    STRANGE,
    damaged_bytes,
    damaged_document,
    places,
)


def command(path):
    """What `try_command` runs on a case."""
    return lambda: main(["convert", str(path), f"{path}.out", "--overwrite"])


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
    rng = random.Random(seed)
    made = list(models(folder))
    for number in range(count):
        model, files = made[number % len(made)]
        file = rng.choice(files)
        original = file.read_bytes()
        damage = rng.choice(damages_of(file))
        kind, content = damage(original, rng)
        try:
            file.write_bytes(content)
            yield f"{number} {file.name} {damage.__name__} {kind}", model
        finally:
            file.write_bytes(original)
    shutil.rmtree(folder)


def damages_of(file):
    """Functions of content and random numbers that suit a kind of file."""
    if file.suffix == ".pt" and file.name != "older.pt":
        return [damaged_bytes, damaged_pickle, damaged_content]
    if file.suffix == ".safetensors":
        return [damaged_bytes, damaged_header]
    if file.name in ("hyperparams.yaml", "label_encoder.ckpt", "CKPT.yaml"):
        return [damaged_bytes, damaged_lines]  # tags and lines of others
    if file.suffix in (".yaml", ".json"):
        return [damaged_bytes, damaged_settings]
    if file.suffix in (".txt", ".scp", ".csv"):
        return [damaged_bytes, damaged_lines]
    return [damaged_bytes]


def damaged_pickle(data, rng):
    """Damage the pickle of a zip archive, whose sums are right again."""
    source, target = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            content = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                kind, content = damaged_bytes(content, rng)
            archive.writestr(entry.filename, content)
    return kind, target.getvalue()


def damaged_content(data, rng):
    """Put something strange into what torch.save was given."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(io.BytesIO(data))
    container, key = rng.choice(list(places(content)))
    strange = rng.choice([*STRANGE, torch.ones(3), torch.ones(2, 2).bool()])
    kind = rng.choice(("other", "gone", "renamed"))
    if kind == "gone":
        del container[key]
    elif kind == "renamed" and isinstance(container, dict):
        container[str(strange)[:300]] = container.pop(key)
    else:
        container[key] = strange
    target = io.BytesIO()
    torch.save(content, target)
    return kind, target.getvalue()


def damaged_header(data, rng):
    """Damage the JSON before the numbers of a safetensors file."""
    end = 8 + struct.unpack("<Q", data[:8])[0]
    kind, header = damaged_document(data[8:end], rng)
    return kind, struct.pack("<Q", len(header)) + header + data[end:]


def damaged_settings(data, rng):
    """Damage YAML or JSON; JSON, which comes out, is YAML too."""
    text = json.dumps(yaml.safe_load(data)).encode()
    return damaged_document(text, rng)


def damaged_lines(data, rng):
    lines = data.split(b"\n")
    kinds = {
        "empty": b"",
        "steering": b"\x1b[2J",
        "no UTF-8": b"\xff\xfe",
        "long": b"a" * 5000,
        "double": lines[0],
    }
    kind = rng.choice(list(kinds))
    lines[rng.randrange(len(lines))] = kinds[kind]
    return kind, b"\n".join(lines)
