"""``--upstream``: another encoder under the same experiment.

The yaml of an experiment says with what and how it trains and tests; one of
``hparams/upstreams`` says what the features are. Put over the other, they are
the experiment on these features: same probe, same folds.
"""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from speechbrain_e2v.training.yaml_bases import merged_yaml

OPTION = "--upstream"
NAME = "upstream_name"
"""The key with what an upstream is called, in the folder of its results."""
_CHECKOUT = Path(__file__).resolve().parents[2]


def take_upstream(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """Part ``--upstream X`` from a command line.

    Raises ValueError when it is given twice, or without a value.

    >>> take_upstream(["x.yaml", "--upstream", "mfcc", "--seeds", "[1]"])
    ('mfcc', ['x.yaml', '--seeds', '[1]'])
    """
    rest, found = [], []
    words = iter(argv)
    for word in words:
        if word == OPTION:
            found.append(next(words, ""))
        elif word.startswith(f"{OPTION}="):
            found.append(word.removeprefix(f"{OPTION}="))
        else:
            rest.append(word)
    if len(found) > 1:
        raise ValueError(f"{OPTION} is given twice; give it once")
    if found and (not found[0] or found[0].startswith("--")):
        raise ValueError(f"{OPTION} has no value; write {OPTION} NAME")
    return (found[0] if found else None), rest


def upstream_file(name: str | Path, near: Path | None = None) -> Path:
    """Find the yaml of an upstream: a name of ``hparams/upstreams``, or a path.

    `near` is a file of the checkout to look in; without one it is this
    package's. Raises ValueError with the names that there are.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ValueError(f"{OPTION}: there is no file {path}")
        return path
    parents = near.resolve().parents if near is not None else ()
    folders = [folder / "hparams" / "upstreams" for folder in parents]
    folders.append(_CHECKOUT / "hparams" / "upstreams")
    folder = next((f for f in folders if f.is_dir()), folders[-1])
    path = folder / f"{name}.yaml"
    if not path.is_file() or path.parent != folder:
        there = sorted(p.stem for p in folder.glob("*.yaml"))
        raise ValueError(
            f"there is no upstream {name}; there are {', '.join(there)}, or "
            "give a yaml file"
        )
    return path


def with_upstream(text: str, upstream: Path, file: Path) -> str:
    """Put an upstream's yaml over the text of an experiment's.

    What only the upstream before was told goes with it, and what nobody here
    asks for is left out. ``layer`` belongs to the experiment where that names
    one. Results go to a folder of the
    upstream's: ``results/linear`` becomes ``results/<name>/linear``.

    Raises ValueError naming the `file` of the text without an upstream.

    >>> part = getfixture("tmp_path") / "loud.yaml"
    >>> _ = part.write_text(
    ...     "gain: 2\\nupstream: !name:a.b\\n    g: !ref <gain>\\n")
    >>> print(with_upstream(
    ...     "encoder: !PLACEHOLDER\\nseed: 1\\n"
    ...     "output_folder: results/linear\\n"
    ...     "upstream: !name:c.d\\n    source: !ref <encoder>\\n",
    ...     part, "x.yaml"))
    seed: 1
    output_folder: !ref results/<upstream_name>/linear
    upstream: !name:a.b
      g: !ref <gain>
    gain: 2
    upstream_name: loud
    <BLANKLINE>
    """
    tree = YAML().load(text)
    if not isinstance(tree, dict) or "upstream" not in tree:
        raise ValueError(f"{file} has no upstream to put another one over")
    part = YAML().load(merged_yaml(upstream))
    if not isinstance(part, dict) or "upstream" not in part:
        raise ValueError(f"{upstream} has no upstream")
    told = _references(tree["upstream"]) | set(part)
    if "layer" in tree:
        part.pop("layer", None)
    here = set(tree) - _references(tree["upstream"])
    tree.update(part)
    tree.setdefault(NAME, upstream.stem)
    for key in told - here - {"upstream", NAME}:
        others = {k: v for k, v in tree.items() if k != key}
        if key in tree and key not in _references(others):
            del tree[key]
    node = tree.get("output_folder")  # results/x or !ref results/x/<key>
    folder = str(getattr(node, "value", node) or "")
    if "results/" in folder:
        first, _, rest = folder.partition("results/")
        own = f"!ref {first}results/<{NAME}>/{rest}"
        tree["output_folder"] = YAML().load(own)
    return _text(tree)


def _references(node: Any) -> set[str]:
    return set(re.findall(r"<(\w+)", _text(node)))


def _text(node: Any) -> str:
    stream = StringIO()
    YAML().dump(node, stream)
    return stream.getvalue()
