"""State dicts that fit in every name and shape, or not at all.

SpeechBrain's own transfer hook only warns about missing and unexpected
parameters, so a wrong file gives a random model; and it never compares labels
with the classifier. Exported classifier folders name `load_strict` and
`load_labels` instead.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.files.foreign_text import shown

if TYPE_CHECKING:  # whoever only wants features does not wait for it
    from speechbrain.dataio.encoder import CategoricalEncoder


def demand_match(
    expected: Mapping[str, Sequence[int]],
    found: Mapping[str, Sequence[int]],
    origin: object,
) -> None:
    """Demand the same names with the same shapes, or list what is wrong.

    >>> demand_match({"a": (1,), "b": (2,)}, {"a": (3,)}, "x.pt")
    Traceback (most recent call last):
    ...
    ValueError: x.pt does not fit the encoder's sizes:
      missing b (2,)
      a is (3,), should be (1,)
    """
    expected = {name: tuple(shape) for name, shape in expected.items()}
    found = {shown(name): tuple(shape) for name, shape in found.items()}
    problems = [
        f"missing {name} {shape}"
        for name, shape in expected.items()
        if name not in found
    ]
    problems += [
        f"unexpected {name} {shape}"
        for name, shape in found.items()
        if name not in expected
    ]
    problems += [
        f"{name} is {found[name]}, should be {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        listing = "\n  ".join(problems[:20])
        more = len(problems) - 20
        rest = f"\n  and {more} more" if more > 0 else ""
        raise ValueError(
            f"{origin} does not fit the encoder's sizes:\n  {listing}{rest}"
        )


def check_state(
    module: torch.nn.Module, state: Mapping[str, torch.Tensor], origin: object
) -> None:
    """Demand that a state dict fits a module, or list what does not."""
    expected = {name: v.shape for name, v in module.state_dict().items()}
    demand_match(expected, {name: v.shape for name, v in state.items()}, origin)


def as_safetensors(state: Mapping[str, torch.Tensor]) -> bytes:
    """What a safetensors file of these tensors, from any device, holds."""
    return save({k: v.detach().cpu().contiguous() for k, v in state.items()})


def read_safetensors(
    path: str | Path, sha256: str | None = None
) -> dict[str, torch.Tensor]:
    """Read a safetensors file, ValueError when it is damaged.

    With `sha256`, also when its bytes are others than were written.
    """
    if not Path(path).is_file():  # a pipe would never end
        raise FileNotFoundError(f"there is no file {path}")
    if sha256 is not None and (found := file_sha256(path)) != sha256:
        raise ValueError(
            f"{path} is not what was written: its SHA-256 is {found[:12]}..., "
            f"not {sha256[:12]}...: copy, download or export it again."
        )
    try:
        return load_file(path)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a whole safetensors file "
            f"({shown(error, 300)}): copy, "
            "download or export it again."
        ) from error


def load_strict(
    module: torch.nn.Module, path: str | Path, sha256: str | None = None
) -> None:
    """Load parameters from a safetensors file, whatever its suffix.

    >>> from safetensors.torch import save_file
    >>> path = getfixture("tmp_path") / "layer.ckpt"
    >>> save_file(torch.nn.Linear(2, 3).state_dict(), path)
    >>> load_strict(torch.nn.Linear(2, 3), path)
    >>> load_strict(torch.nn.Linear(2, 4), path)
    Traceback (most recent call last):
        ...
    ValueError: ...
    """
    state = read_safetensors(path, sha256)
    check_state(module, state, path)
    module.load_state_dict(state)


def load_labels(
    label_encoder: "CategoricalEncoder", path: str | Path, n_classes: int
) -> None:
    """Load a label file that names the outputs 0 ... C - 1 once each."""
    label_encoder.load(path)
    found = sorted(label_encoder.ind2lab)
    if found != list(range(n_classes)) or len(label_encoder) != n_classes:
        raise ValueError(
            f"{path} has labels for the indices {found}, but the classifier "
            f"has {n_classes} classes: export the folder again."
        )
    label_encoder.expect_len(n_classes)
