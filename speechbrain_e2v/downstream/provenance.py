"""Where a result comes from: the commit, and what an encoder had heard."""

import subprocess
from pathlib import Path


def heard_marks(card, corpus_name):
    """Say whether an encoder's training has heard the corpus it is tested on.

    Arguments
    ---------
    card : dict or None
        ``card.json`` of an encoder folder; ``None`` without an encoder. Its
        ``pretraining`` and ``finetuning`` name corpora.
    corpus_name : str
        The corpus that is tested. One name inside the other counts, so
        pre-training on RAVDESS marks RAVDESS-Speech.

    Returns
    -------
    list of str

    Example
    -------
    >>> heard_marks({"pretraining": {"EmoDB": 0.4}}, "EmoDB")
    ['the encoder heard EmoDB in pretraining']
    >>> heard_marks({"pretraining": {"nEMO": 0.2}}, "EmoDB")
    []
    """
    if card is None:
        return []
    corpus = corpus_name.lower()
    marks = []
    for stage in ("pretraining", "finetuning"):
        listed = card.get(stage) or ()
        listed = [listed] if isinstance(listed, str) else listed
        names = [name.lower() for name in listed if name]
        if any(name in corpus or corpus in name for name in names):
            marks.append(f"the encoder heard {corpus_name} in {stage}")
    # Audio of no named corpus is listed under an empty name.
    named = card.get("pretraining") and "" not in card["pretraining"]
    if not marks and (card.get("initialised_from") or not named):
        marks = ["what the encoder heard in pretraining is not fully known"]
    return marks


def commit():
    """Commit of this checkout, with ``+`` when tracked files were changed.

    Returns
    -------
    str or None
        ``None`` for an installed copy and on a machine without git.
    """
    here = Path(__file__).resolve()

    def git(*arguments):
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
