"""What training on one fold leaves behind, and how its head is kept."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.files.digest import file_sha256

TUNED = "encoder.safetensors"
"""Beside a head: the tensors of the encoder that training has changed."""


@dataclass(frozen=True)
class FoldResult:
    """A trained head and what it says about the test utterances.

    ``outputs`` are probabilities of classes [N, C] or ratings in units of
    their scales [N, n], in the order of the fold; ``arguments`` build the
    head, a class of :mod:`speechbrain_e2v.lobes.heads`, again, where there is
    one; ``selection``
    is the entry of ``history`` that validation chose. ``encoder`` are those
    tensors of an encoder that training has changed, by name;
    ``tuned_parameters`` how many numbers of it were free to.

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
    encoder: dict[str, torch.Tensor] = field(default_factory=dict)
    tuned_parameters: int = 0

    @property
    def trained_parameters(self) -> int:
        """Numbers that training could change, of head and encoder."""
        head = [] if self.head is None else list(self.head.parameters())
        return sum(p.numel() for p in head) + self.tuned_parameters


def save_head(folder: str | Path, result: FoldResult, about: dict) -> None:
    """Write ``probe.safetensors`` and ``probe.json``.

    What was changed of an encoder is in ``encoder.safetensors``, which is not
    there otherwise.
    """
    folder = Path(folder)
    assert result.head is not None
    parts = {"probe.safetensors": result.head.state_dict()}
    if result.encoder:
        parts[TUNED] = result.encoder
    else:
        (folder / TUNED).unlink(missing_ok=True)
    for name, state in parts.items():
        with replaced_file(folder / name) as unfinished:
            save_file(
                {
                    key: value.detach().cpu().contiguous()
                    for key, value in state.items()
                },
                unfinished,
            )
    description = {
        "head": type(result.head).__name__,
        "arguments": result.arguments,
        "weights_sha256": file_sha256(folder / "probe.safetensors"),
        **about,
    }
    text = json.dumps(description, indent=1, ensure_ascii=False)
    replace_text(folder / "probe.json", text + "\n")
