"""What training on one fold leaves behind, and how it is kept."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.lobes import heads


@dataclass(frozen=True)
class FoldOutcome:
    """A trained classifier and what it says about the test utterances.

    Arguments
    ---------
    head : torch.nn.Module
        A class of :mod:`speechbrain_e2v.lobes.heads`.
    arguments : dict
        What the head was built with.
    posteriors : torch.Tensor
        Probabilities of the test utterances [N, C], in the fold's order.
    selection : dict
        What was chosen on the validation utterances, and its scores there.
    history : list of dict
        One entry per epoch.

    Example
    -------
    >>> arguments = {"input_dim": 2, "n_classes": 2}
    >>> outcome = FoldOutcome(
    ...     heads.LinearHead(**arguments), arguments, torch.eye(2))
    >>> outcome.predictions
    [0, 1]
    """

    head: torch.nn.Module
    arguments: dict
    posteriors: torch.Tensor
    selection: dict = field(default_factory=dict)
    history: list = field(default_factory=list)

    @property
    def predictions(self):
        """Most probable class of each test utterance, a list of int."""
        return self.posteriors.argmax(dim=1).tolist()


def save_head(folder, head, arguments, about):
    """Write ``probe.safetensors`` and ``probe.json``.

    Arguments
    ---------
    folder : str or Path
        Created if necessary.
    head : torch.nn.Module
        A class of :mod:`speechbrain_e2v.lobes.heads`.
    arguments : dict
        What it was built with.
    about : dict
        ``classes`` in the order of the outputs, ``upstream``, ...

    Example
    -------
    >>> arguments = {"input_dim": 2, "n_classes": 2}
    >>> folder = getfixture("tmp_path")
    >>> save_head(folder, heads.LinearHead(**arguments), arguments, {})
    >>> load_head(folder)[0].output_layer.weight.shape
    torch.Size([2, 2])
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in head.state_dict().items()
    }
    temporary = folder / ".probe.safetensors.tmp"
    temporary.write_bytes(save(state))
    os.replace(temporary, folder / "probe.safetensors")
    description = {"head": type(head).__name__, "arguments": arguments, **about}
    text = json.dumps(description, indent=1, ensure_ascii=False)
    replace_text(folder / "probe.json", text + "\n")


def load_head(folder):
    """Read what :func:`save_head` wrote.

    Arguments
    ---------
    folder : str or Path
        ``<output_folder>/folds/<fold>/seed<seed>``.

    Returns
    -------
    tuple
        The head in evaluation mode, and the content of ``probe.json``.
    """
    folder = Path(folder)
    about = json.loads((folder / "probe.json").read_text("utf-8"))
    head = getattr(heads, about["head"])(**about["arguments"])
    head.load_state_dict(load_file(folder / "probe.safetensors"))
    return head.eval(), about
