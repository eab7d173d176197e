"""Which folder below a root is which corpus."""

import importlib.util
import re
import sys
from pathlib import Path

TABLE = "labels.csv"  # of a corpus that is the user's own
_DEPTH = 2


def load_corpus(recipe):
    """The corpus that a recipe's prepare script defines.

    Arguments
    ---------
    recipe : str or Path
        ``recipes/<Corpus>``.

    Returns
    -------
    Corpus

    Example
    -------
    >>> recipes = Path(__file__).resolve().parents[2] / "recipes"
    >>> load_corpus(recipes / "EmoDB").expected["utts"]
    535
    """
    (script,) = Path(recipe).glob("*_prepare.py")
    name = f"speechbrain_e2v_recipe_{script.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name].CORPUS


def find_corpora(root, recipes):
    """Folders of corpora.

    A folder is a recipe's when it has its name (``ravdess_speech`` is
    RAVDESS-Speech), else when its parser can read it.

    Arguments
    ---------
    root : str or Path
        Searched two folders deep.
    recipes : sequence of Path
        Recipe folders; ``Custom`` matches every folder with ``labels.csv``.

    Returns
    -------
    dict of str to list of Path
        Recipe name to folders, none where the corpus is not there.

    Raises
    ------
    ValueError
        When there is no such root.
    """
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"data_root: there is no folder {root}")
    folders = _folders(root)
    found = {}
    for recipe in recipes:
        if recipe.name == "Custom":
            mine = [f for f in folders if (f / TABLE).is_file()]
            taken = {f for listed in found.values() for f in listed}
            found[recipe.name] = [f for f in mine if f not in taken]
            continue
        named = [f for f in folders if _plain(f.name) == _plain(recipe.name)]
        readable = (f for f in folders if _reads(load_corpus(recipe), f))
        chosen = named[0] if named else next(readable, None)
        found[recipe.name] = [] if chosen is None else [chosen]
    return found


def speakers_of(corpus, folder):
    """Speakers with at least one utterance of a class.

    Arguments
    ---------
    corpus : Corpus
        What a recipe knows.
    folder : str or Path
        Its data folder.

    Returns
    -------
    set of str
    """
    corpus = corpus.bound_to(folder)
    listed = [u for u in corpus.parse(Path(folder)) if u.spk and u.emo_raw]
    return {u.spk for u in listed if corpus.class_of(u) is not None}


def _folders(root):
    found, level = [root], [root]
    for _ in range(_DEPTH):
        level = [
            path
            for folder in level
            for path in sorted(folder.iterdir())
            if path.is_dir() and not path.name.startswith(".")
        ]
        found += level
    return found


def _plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _reads(corpus, folder):
    try:
        listed = [u for u in corpus.parse(folder) if u.emo_raw]
        classes = {corpus.class_of(u) for u in listed}
    except (ValueError, OSError):
        return False  # that is how a parser says: not mine
    return bool(classes - {None})
