"""Conversion between published checkpoints and encoder folders."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from speechbrain_e2v import __version__
from speechbrain_e2v.published.encoder_folder import (
    SIZES,
    WEIGHTS,
    load_encoder,
    save_encoder,
)
from speechbrain_e2v.published.head import (
    HEAD_LABELS,
    HEAD_WEIGHTS,
    load_head,
    save_head,
)
from speechbrain_e2v.published.load import read_pretrained
from speechbrain_e2v.published.parity import fingerprint
from speechbrain_e2v.published.write import (
    write_fairseq,
    write_funasr,
)

LAYOUTS = ("fairseq", "funasr")


@dataclass
class Conversion:
    """What a conversion did.

    Arguments
    ---------
    destination : Path
    source_layout, layout : str
    parameters : int
    card : dict
    left_out : list of str
    parity : dict
        Of the source; the copy was read back and found equal.
    """

    destination: Path
    source_layout: str
    layout: str
    parameters: int
    card: dict
    left_out: list
    parity: dict


def convert(
    source, destination, layout=None, overwrite=False, local_files_only=False
):
    """Make an encoder folder of a published checkpoint, or the reverse.

    What was written is read back and compared before this returns.

    Arguments
    ---------
    source : str or Path
        Anything `load_pretrained` accepts.
    destination : str or Path
        Folder; for ``fairseq`` a file.
    layout : str, optional
        ``fairseq`` or ``funasr``; an encoder folder by default.
    overwrite : bool
        Replace what is there.
    local_files_only : bool
        Never download.

    Returns
    -------
    Conversion

    Raises
    ------
    FileExistsError
        When the destination is there and `overwrite` is not set.
    ValueError
        When source or layout cannot be converted.
    """
    destination = Path(destination)
    if layout not in (None, *LAYOUTS):
        raise ValueError(
            f"layout is {layout!r}: choose {' or '.join(LAYOUTS)}."
        )
    _demand_free(destination, layout, overwrite)
    model = read_pretrained(source, local_files_only)
    if layout is None and model.layout == "encoder folder":
        raise ValueError(
            f"{source} is an encoder folder already: choose a published "
            f"layout to write ({' or '.join(LAYOUTS)}), or copy the folder."
        )
    parity = fingerprint(model.encoder, model.head)
    left_out = list(model.left_out)
    if layout == "fairseq":
        written = write_fairseq(destination, model)
        left_out = [line for line in left_out if _stays_out(line)]
        if model.head is not None:
            left_out.append("head: the fairseq layout has no place for it")
    elif layout == "funasr":
        written = write_funasr(destination, model)
    else:
        model.card |= _provenance(model)
        written = _write_folder(destination, model)
    _demand_equal(written, layout, parity)
    return Conversion(
        destination,
        model.layout,
        layout or "encoder folder",
        sum(p.numel() for p in model.encoder.parameters()),
        model.card,
        left_out,
        parity,
    )


def _stays_out(line):
    return not line.startswith(("decoder:", "teacher (_ema):"))


def _demand_free(destination, layout, overwrite):
    if layout == "fairseq" and destination.is_dir():
        raise ValueError(
            f"{destination} is a folder; the fairseq layout is one file: give "
            f"{destination / 'model.pt'}"
        )
    if layout != "fairseq" and destination.is_file():
        raise ValueError(f"{destination} is a file; a folder is written here.")
    taken = destination.exists() and (
        destination.is_file() or any(destination.iterdir())
    )
    if taken and not overwrite:
        raise FileExistsError(
            f"{destination} is there already: choose another place, or say "
            "--overwrite."
        )


def _provenance(model):
    return {
        "source_file": model.weights_file.name,
        "source_bytes": model.weights_file.stat().st_size,
        "source_sha256": sha256(model.weights_file),
        "left_out": model.left_out,
        "written_by": f"speechbrain_e2v {__version__}",
    }


def sha256(path):
    """Hash a file.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    str
        Hexadecimal.

    Example
    -------
    >>> path = getfixture("tmp_path") / "empty"
    >>> path.touch()
    >>> sha256(path)[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _write_folder(destination, model):
    """Write everything beside the destination first, then move it there."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=destination.parent, prefix=f".{destination.name}."
    ) as workshop:
        save_encoder(workshop, model.encoder, model.card)
        if model.head is not None:
            save_head(workshop, model.head)
        destination.mkdir(exist_ok=True)
        # The sizes make a folder an encoder folder: they go last.
        (destination / SIZES).unlink(missing_ok=True)
        for name in (HEAD_WEIGHTS, HEAD_LABELS, WEIGHTS):
            (destination / name).unlink(missing_ok=True)
        files = sorted(Path(workshop).iterdir(), key=lambda p: p.name == SIZES)
        for file in files:
            os.replace(file, destination / file.name)
    return destination


def _demand_equal(written, layout, parity):
    if layout is None:
        copy, head = load_encoder(written), load_head(written)
    else:
        model = read_pretrained(written, local_files_only=True)
        copy, head = model.encoder, model.head
    found = fingerprint(copy, head)
    expected = dict(parity)
    if head is None:
        expected.pop("probabilities", None)
    if found != expected:
        raise RuntimeError(
            f"{written} does not give the same numbers as its source, "
            f"{found} instead of {expected}: do not use it; check the disk."
        )
