"""What training on one fold leaves behind, and how its head is kept."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

from speechbrain_e2v.files.atomic import replace_text, replaced_file


@dataclass(frozen=True)
class FoldResult:
    """A trained head and what it says about the test utterances.

    ``outputs`` are probabilities of classes [N, C] or ratings in units of
    their scales [N, n], in the order of the fold; ``arguments`` build the
    head, a class of :mod:`speechbrain_e2v.lobes.heads`, again, where there is
    one; ``selection``
    is the entry of ``history`` that validation chose.

    >>> from speechbrain_e2v.lobes.heads import LinearHead
    >>> arguments = {"input_dim": 2, "n_classes": 2}
    >>> result = FoldResult(LinearHead(**arguments), arguments, torch.eye(2))
    >>> result.history
    []
    """

    head: torch.nn.Module | None
    arguments: dict
    outputs: torch.Tensor
    selection: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)


def save_head(
    folder: str | Path, head: torch.nn.Module, arguments: dict, about: dict
) -> None:
    """Write ``probe.safetensors`` and ``probe.json``."""
    folder = Path(folder)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in head.state_dict().items()
    }
    with replaced_file(folder / "probe.safetensors") as unfinished:
        save_file(state, unfinished)
    description = {"head": type(head).__name__, "arguments": arguments, **about}
    text = json.dumps(description, indent=1, ensure_ascii=False)
    replace_text(folder / "probe.json", text + "\n")
