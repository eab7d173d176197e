"""Writing a text file so that nobody ever sees half of it."""

import os
from pathlib import Path


def replace_text(path, text):
    """Write a UTF-8 text file under a temporary name, then rename it.

    Arguments
    ---------
    path : str or Path
        The file to create or replace. Its folder is created.
    text : str
        The whole content.

    Returns
    -------
    Path
        The path written.

    Example
    -------
    >>> target = getfixture("tmp_path") / "deep" / "note.txt"
    >>> len(replace_text(target, "one line\\n").read_text())
    9
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
