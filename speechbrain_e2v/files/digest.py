"""What a file holds, in 64 letters, and a folder's list of them."""

import hashlib
import json
import os
from pathlib import Path

from speechbrain_e2v.files.documents import BadDocument, read_json

DIGESTS = "sha256.json"
"""In a folder: file name -> digest of each of its other files."""
_PIECE = 2**20
_SAMPLE = 2**11


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    >>> path = getfixture("tmp_path") / "a.txt"
    >>> _ = path.write_bytes(b"abc")
    >>> file_sha256(path)[:16]
    'ba7816bf8f01cfea'
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def sampled_sha256(path: str | Path) -> str:
    """SHA-256 of a file's length and of 2 KiB at 1/4, 1/2 and 3/4 of it.

    For many large files, of which nobody can read every byte at each start:
    it tells another recording, or the same one shifted, scaled or encoded
    anew; not a change of a few samples elsewhere.

    >>> path = getfixture("tmp_path") / "a.wav"
    >>> _ = path.write_bytes(bytes(100_000))
    >>> before = sampled_sha256(path)
    >>> _ = path.write_bytes(bytes(99_999) + b"x")
    >>> sampled_sha256(path) == before
    True
    >>> _ = path.write_bytes(bytes(50_000) + b"x" * 50_000)
    >>> sampled_sha256(path) == before
    False
    """
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(str(size).encode())
        for quarter in (1, 2, 3):
            file.seek(size * quarter // 4)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()


def write_digests(folder: Path) -> None:
    """Write down what the files of a finished folder hold."""
    digests = {
        file.name: file_sha256(file)
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != DIGESTS
    }
    (folder / DIGESTS).write_text(json.dumps(digests, indent=1) + "\n", "utf-8")


def damage_in(folder: Path, *only: str) -> str | None:
    """What is wrong with the files of a folder, or with some of them.

    None where nothing is; FileNotFoundError where nobody wrote the digests.

    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "model.ckpt").write_bytes(b"weights")
    >>> write_digests(folder)
    >>> damage_in(folder)
    >>> _ = (folder / "model.ckpt").write_bytes(b"wfights")
    >>> damage_in(folder)
    'model.ckpt does not match sha256.json'
    """
    try:
        digests = read_json(folder / DIGESTS, dict[str, str])
    except BadDocument as error:
        return str(error)
    for name in only or digests:
        if name not in digests:
            return f"{name} is not in {DIGESTS}"
        if not (folder / name).is_file():
            return f"{name} is missing"
        if file_sha256(folder / name) != digests[name]:
            return f"{name} does not match {DIGESTS}"
    return None
