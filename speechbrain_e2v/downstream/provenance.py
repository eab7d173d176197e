"""Where a result comes from: settings, commit, what an encoder had heard."""

import subprocess
from collections.abc import Callable
from pathlib import Path


def config_of_callable(factory: Callable) -> dict:
    """Name and bound arguments of what a yaml's ``!name:`` gave.

    >>> import functools, torch
    >>> config_of_callable(functools.partial(torch.optim.Adam, lr=1e-4))
    {'name': 'Adam', 'lr': 0.0001}
    """
    arguments = getattr(factory, "keywords", {})
    function = getattr(factory, "func", factory)
    return {"name": function.__qualname__, **arguments}


def heard_caveats(card: dict | None, corpus_name: str) -> list[str]:
    """Say whether an encoder's training has heard the corpus it is tested on.

    ``card``, the ``card.json`` of an encoder folder, names corpora under
    ``pretraining`` and ``finetuning``. One name inside the other counts, so
    pre-training on RAVDESS is a caveat of RAVDESS-Speech.

    >>> heard_caveats({"pretraining": {"EmoDB": 0.4}}, "EmoDB")
    ['the encoder heard EmoDB in pretraining']
    >>> heard_caveats({"pretraining": {"nEMO": 0.2}}, "EmoDB")
    []
    """
    if card is None:
        return []
    corpus = corpus_name.lower()
    caveats = []
    for stage in ("pretraining", "finetuning"):
        listed = card.get(stage) or ()
        listed = [listed] if isinstance(listed, str) else listed
        names = [name.lower() for name in listed if name]
        if any(name in corpus or corpus in name for name in names):
            caveats.append(f"the encoder heard {corpus_name} in {stage}")
    # Audio of no named corpus is listed under an empty name.
    named = card.get("pretraining") and "" not in card["pretraining"]
    if not caveats and (card.get("initialised_from") or not named):
        caveats = ["what the encoder heard in pretraining is not fully known"]
    return caveats


def commit() -> str | None:
    """Commit of this checkout, with ``+`` when tracked files were changed.

    ``None`` for an installed copy and on a machine without git.
    """
    here = Path(__file__).resolve()

    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["git", "-C", str(here.parent), *arguments],
            capture_output=True,
            text=True,
        )

    try:
        if git("ls-files", "--error-unmatch", here.name).returncode:
            return None  # somebody else's repository around an installed copy
    except FileNotFoundError:
        return None
    changed = git("status", "--porcelain", "--untracked-files=no").stdout
    return git("rev-parse", "HEAD").stdout.strip() + ("+" if changed else "")
