"""One folder, one kind of features."""

import json
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text

SETTINGS = "extraction.json"


def demand_same_settings(folder, settings):
    """Write how features in a folder are made, or compare with what is there.

    Arguments
    ---------
    folder : str or Path
        Made when missing.
    settings : dict
        JSON-able; ``about`` is written, but may differ.

    Raises
    ------
    ValueError
        Naming the first setting that differs.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> demand_same_settings(folder, {"layer": "last"})
    >>> demand_same_settings(folder, {"layer": "all"})
    Traceback (most recent call last):
    ...
    ValueError: ... layer is 'last' there and 'all' now; ...
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        replace_text(path, json.dumps(settings, indent=1) + "\n")
        return
    there = json.loads(path.read_text("utf-8"))
    for name in {**there, **settings}:
        if name != "about" and there.get(name) != settings.get(name):
            raise ValueError(
                f"{folder} holds features made otherwise: {name} is "
                f"{there.get(name)!r} there and {settings.get(name)!r} now; "
                "give another folder, or delete this one"
            )
