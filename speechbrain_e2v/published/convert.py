"""Conversion between published checkpoints and encoder folders."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v import __version__
from speechbrain_e2v.files.atomic import new_folder
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.encoder_folder import (
    load_encoder,
    load_head,
    save_encoder,
    weights_digest,
)
from speechbrain_e2v.published.head import PublishedHead
from speechbrain_e2v.published.load import Pretrained, read_pretrained
from speechbrain_e2v.published.sizes import kind_of
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
    if layout is not None and not isinstance(model.encoder, Emotion2vecEncoder):
        raise ValueError(
            f"{source} is a {kind_of(model.encoder)} encoder: the layout "
            f"{layout} has a place for emotion2vec's only. Leave --to out for "
            "an encoder folder."
        )
    parity = fingerprint(model.encoder, model.head)
    if not math.isfinite(parity["features"]["std"]):
        raise ValueError(
            f"{source}: its encoder's features are not finite: the file is "
            "damaged or its training had diverged."
        )
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


def fixed_signal() -> torch.Tensor:
    """One second of a gliding, pulsing tone [1, 16000], normalised."""
    time = torch.arange(SAMPLE_RATE, dtype=torch.float64) / SAMPLE_RATE
    phase = 2 * math.pi * (120 * time + 40 * time.square())
    voice = sum(torch.sin(n * phase) / n for n in range(1, 20))
    pulse = 0.55 + 0.45 * torch.sin(2 * math.pi * 4 * time)
    return normalise_waveform((0.1 * pulse * voice).float()[None])


@torch.no_grad()
def fingerprint(
    encoder: WaveformEncoder, head: PublishedHead | None = None
) -> dict[str, Any]:
    """Compute what must be equal between two copies of a model.

    ``weights_sha256`` to the last bit, ``features`` and ``probabilities`` on
    `fixed_signal` up to rounding of the machine (1e-4).
    """
    features = encoder(fixed_signal())  # [1, T, D]
    pooled = features.mean(1)
    result: dict[str, Any] = {
        "weights_sha256": weights_digest(encoder),
        "features": {
            "shape": list(features.shape[1:]),
            "mean": round(features.mean().item(), 6),
            "std": round(features.std().item(), 6),
            "first": [round(x, 5) for x in pooled[0, :5].tolist()],
        },
    }
    if head is not None:
        scores = head.probabilities(pooled)[0].tolist()
        result["probabilities"] = {
            name: round(score, 5)
            for name, score in zip(head.ids, scores, strict=True)
        }
    return result
