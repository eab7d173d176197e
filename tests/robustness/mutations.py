"""Damage as it happens, and as people do it on purpose, from fixed seeds."""

import json
import random
from collections.abc import Iterator
from typing import Any

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
STRANGE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**9,
    2**63,
    10**400,
    1e308,
    float("nan"),
    float("-inf"),
    "",
    "\x1b[31m",
    "a\nb",
    "../../x",
    "x" * 100_000,
    [],
    {},
    [[[[]]]],
    {"a": {"b": 1}},
)


def damaged_bytes(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Give one damage to a file of any kind; its name and the new content."""
    size = len(data)
    at = rng.randrange(max(size, 1))
    # Half of all places lie in the first kilobyte: headers are read first.
    if rng.random() < 0.5:
        at = rng.randrange(max(min(size, 1024), 1))
    length = rng.choice((1, 2, 4, 16, 256))
    kind = rng.choice(
        ("bit", "byte", "number", "cut", "hole", "twice", "noise", "zeros")
    )
    new = bytearray(data)
    if kind == "cut" or not size:
        return "cut", bytes(data[:at])
    if kind == "bit":
        new[at] ^= 1 << rng.randrange(8)
    elif kind == "byte":
        new[at] = rng.choice(INTERESTING)
    elif kind == "number":
        width = rng.choice((2, 4, 8))
        value = rng.choice((0, 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1))
        new[at : at + width] = value.to_bytes(
            width, rng.choice(("little", "big"))
        )
    elif kind == "hole":
        del new[at : at + length]
    elif kind == "twice":
        new[at:at] = new[at : at + length]
    elif kind == "noise":
        new[at : at + length] = rng.randbytes(length)
    else:
        new[at : at + length] = bytes(min(length, size - at))
    return kind, bytes(new)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document with each of its keys."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from places(value)
    elif isinstance(document, list):
        for index, value in enumerate(document[:20]):
            yield document, index
            yield from places(value)


def damaged_document(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Change one place of a JSON document so that it is JSON still."""
    document = json.loads(data)
    found = list(places(document))
    if not found or rng.random() < 0.05:
        return "whole", json.dumps(rng.choice(STRANGE)).encode()
    container, key = rng.choice(found)
    kind = rng.choice(("other", "gone", "added", "nested"))
    if kind == "gone":
        del container[key]
    elif kind == "added" and isinstance(container, dict):
        container[f"{key}_"] = rng.choice(STRANGE)
    elif kind == "nested":
        deep = json.dumps(document)
        text = json.dumps(container[key])
        return "nested", deep.replace(text, "[" * 5000 + "]" * 5000, 1).encode()
    else:
        container[key] = rng.choice(STRANGE)
    return kind, json.dumps(document).encode()
