"""Which folder below a root is which corpus."""

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from speechbrain_e2v.corpora.corpus import Corpus

TABLE = "labels.csv"  # of a corpus that is the user's own
RECIPES = Path(__file__).resolve().parents[2] / "recipes"
_DEPTH = 2


def load_corpus(recipe: str | Path) -> Corpus:
    """The corpus that the prepare script of ``recipes/<Corpus>`` defines.

    >>> recipes = Path(__file__).resolve().parents[2] / "recipes"
    >>> load_corpus(recipes / "EmoDB").expected["utts"]
    535
    """
    (script,) = Path(recipe).glob("*_prepare.py")
    name = f"speechbrain_e2v_recipe_{script.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, script)
        assert spec is not None and spec.loader is not None  # it ends in .py
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name].CORPUS


def recipe_corpus(name: str) -> Corpus:
    """The corpus of ``recipes/<name>`` of this checkout.

    Raises ValueError naming the recipes that there are.
    """
    there = {
        path.parent.name: path.parent
        for path in sorted(RECIPES.glob("*/*_prepare.py"))
    }
    if not there:
        raise ValueError(
            f"there are no recipes in {RECIPES}; run from a checkout of the "
            "repository (pip install -e .), or give manifests"
        )
    if name not in there:
        raise ValueError(
            f"there is no recipe {name}; there are {', '.join(there)}"
        )
    return load_corpus(there[name])


def find_corpora(
    root: str | Path, recipes: Sequence[Path]
) -> dict[str, list[Path]]:
    """Folders of corpora by recipe name, searched two folders deep.

    A folder is a recipe's when it has its name (``ravdess_speech`` is
    RAVDESS-Speech), else when its parser can read it; ``Custom`` matches every
    folder with ``labels.csv`` that no recipe before it has taken. Raises
    ValueError when there is no such root.
    """
    root = Path(root)
    if not root.is_dir():
        raise ValueError(f"data_root: there is no folder {root}")
    folders = _folders(root)
    found: dict[str, list[Path]] = {}
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


def speakers_of(corpus: Corpus, folder: str | Path) -> set[str]:
    """Speakers with at least one utterance of a class."""
    corpus = corpus.bound_to(folder)
    listed = [u for u in corpus.parse(Path(folder)) if u.spk and u.emo_raw]
    return {u.spk for u in listed if corpus.class_of(u) is not None}


def _folders(root: Path) -> list[Path]:
    found, level = [root], [root]
    for _ in range(_DEPTH):
        level = [path for folder in level for path in _folders_in(folder)]
        found += level
    return found


def _folders_in(folder: Path) -> list[Path]:
    try:
        listed = sorted(folder.iterdir())
        return [p for p in listed if p.is_dir() and not p.name.startswith(".")]
    except PermissionError:  # such as lost+found, at the root of a disk
        print(f"{folder} may not be read: no corpus is looked for in it")
        return []


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _reads(corpus: Corpus, folder: Path) -> bool:
    try:
        listed = [u for u in corpus.parse(folder) if u.emo_raw]
        classes = {corpus.class_of(u) for u in listed}
    except (ValueError, OSError):
        return False  # that is how a parser says: not mine
    return bool(classes - {None})
