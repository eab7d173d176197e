"""Conversion between published checkpoints and encoder folders."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechbrain_e2v import __version__
from speechbrain_e2v.files.atomic import new_folder
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.published.encoder_folder import (
    load_encoder,
    load_head,
    save_encoder,
)
from speechbrain_e2v.published.load import Pretrained, read_pretrained
from speechbrain_e2v.published.parity import fingerprint
from speechbrain_e2v.published.write import write_fairseq, write_funasr

LAYOUTS = ("fairseq", "funasr")


def convert(
    source: str | Path,
    destination: str | Path,
    layout: str | None = None,
    overwrite: bool = False,
    local_files_only: bool = False,
) -> tuple[Pretrained, dict[str, Any]]:
    """Make an encoder folder of a published checkpoint, or the reverse.

    Without a `layout`, an encoder folder is written. What was written is read
    back and compared with the source's fingerprint, which is returned beside
    the model. Raises FileExistsError when the destination is there and
    `overwrite` is not set, ValueError when it cannot be converted.
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
    with _place(destination, layout) as place:
        _write(place, layout, model)
        _demand_equal(place, layout, parity)
    return model, parity


@contextlib.contextmanager
def _place(destination: Path, layout: str | None) -> Iterator[Path]:
    """Where to write: a new folder appears whole, an old one keeps its rest."""
    if (
        layout == "fairseq"
        or destination.is_dir()
        and any(destination.iterdir())
    ):
        yield destination
    else:
        with new_folder(destination) as unfinished:
            yield unfinished


def _write(place: Path, layout: str | None, model: Pretrained) -> None:
    if layout == "fairseq":
        write_fairseq(place, model)
        kept = ("decoder:", "teacher (_ema):")
        model.left_out = [
            line for line in model.left_out if not line.startswith(kept)
        ]
        if model.head is not None:
            model.left_out.append(
                "head: the fairseq layout has no place for it"
            )
    elif layout == "funasr":
        write_funasr(place, model)
    else:
        model.card |= _provenance(model)
        save_encoder(place, model.encoder, model.card, model.head)


def _demand_free(
    destination: Path, layout: str | None, overwrite: bool
) -> None:
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


def _provenance(model: Pretrained) -> dict[str, Any]:
    assert model.weights_file is not None
    return {
        "source_file": model.weights_file.name,
        "source_bytes": model.weights_file.stat().st_size,
        "source_sha256": file_sha256(model.weights_file),
        "left_out": model.left_out,
        "written_by": f"speechbrain_e2v {__version__}",
    }


def _demand_equal(
    written: Path, layout: str | None, parity: dict[str, Any]
) -> None:
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
