"""What a file holds, in 64 letters, and a folder's list of them."""

import hashlib
import json
from pathlib import Path

from speechbrain_e2v.files.documents import BadDocument, read_json

DIGESTS = "sha256.json"
"""In a folder: file name -> digest of each of its other files."""
_PIECE = 2**20


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
