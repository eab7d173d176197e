"""A yaml that holds only what differs from others, named under ``base``."""

from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

ABSENT = "!absent"


def merged_yaml(file: str | Path, within: tuple[Path, ...] = ()) -> str:
    """The text of a yaml over its bases; without ``base`` it is the file's.

    ``base: x.yaml``, or a list of them, is relative to the file. Later ones
    win over earlier ones and the file over all, key by top-level key; a key
    that the file says to be ``!absent`` is left out. `within` are the files
    that named this one. A ValueError names a base that is not there, or that
    has itself for a base.

    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "a.yaml").write_text("lr: 0.1\\nx: !ref <lr>\\n")
    >>> _ = (folder / "b.yaml").write_text("base: a.yaml\\nlr: 0.2\\n")
    >>> print(merged_yaml(folder / "b.yaml"))
    lr: 0.2
    x: !ref <lr>
    <BLANKLINE>
    """
    file = Path(file).resolve()
    if file in within:
        raise ValueError(f"{file} has itself for a base")
    if not file.is_file():
        raise ValueError(f"{within[-1]}: there is no base {file}")
    text = file.read_text(encoding="utf-8")
    tree = YAML().load(text)
    if not isinstance(tree, dict) or "base" not in tree:
        return text
    named = tree.pop("base")
    merged = CommentedMap()
    for name in [named] if isinstance(named, str) else named:
        base = merged_yaml(file.parent / name, (*within, file))
        merged.update(YAML().load(base))
    merged.update(tree)
    for key, value in tree.items():
        if getattr(value, "tag", None) == ABSENT:
            del merged[key]
    stream = StringIO()
    YAML().dump(merged, stream)
    return stream.getvalue()
