r"""Text of others: checked where it is read, escaped where it is written.

A label or a file name may hold what a terminal, a table or a spreadsheet takes
for a command.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

MAX_LABEL = 100
_JOINERS = "\u200c\u200d"  # letters of some scripts need them
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_ABSOLUTE = re.compile(
    r"(?<![\w.:/\\-])(?:~?/|[A-Za-z]:\\)(?:[^\s,;:'\"/\\]+[/\\])+"
    r"([^\s,;:'\"/\\\])]*)"
)
_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\|`*<>[]"})


def checked_label(label: str) -> str:
    """Give a class name back; a ValueError says why it cannot be one.

    >>> checked_label("pain, groan")
    'pain, groan'
    >>> checked_label("a => b")
    Traceback (most recent call last):
    ...
    ValueError: class name 'a => b' has the character '=', which label files
    and --merge use: rename the class.
    """
    if not label or label != label.strip():
        raise ValueError(
            f"class name {label!r} is empty, or has blanks at an end: rename "
            "the class."
        )
    if len(label) > MAX_LABEL:
        raise ValueError(
            f"class name {label[:20]!r}... has {len(label)} characters, more "
            f"than {MAX_LABEL}: rename the class."
        )
    for character in label:
        if character == "=":
            raise ValueError(
                f"class name {label!r} has the character '=', which label "
                "files and --merge use: rename the class."
            )
        if _unseen(character):
            raise ValueError(
                f"class name {label!r} has a character that is not seen "
                f"({ascii(character)[1:-1]}): rename the class."
            )
    return label


def printable(text: str) -> str:
    r"""Spell out what a terminal would obey or could not show.

    >>> printable("sad\x1b[31m\n"), printable("col\udce8re.wav")
    ('sad\\x1b[31m\\n', 'col\\xe8re.wav')
    """
    return "".join(_spelt(c) if _unseen(c) else c for c in text)


def csv_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: it gets a quote in front.

    >>> csv_cell("=1+1"), csv_cell("sad")
    ("'=1+1", 'sad')
    """
    text = printable(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def markdown_cell(text: object) -> str:
    r"""Text in one line of Markdown, cell of a table or not, as it reads.

    >>> markdown_cell("a|b\n<c>")
    'a\\|b \\<c\\>'
    """
    return printable(" ".join(str(text).split())).translate(_MARKDOWN)


def without_local_folders(text: str) -> str:
    """Absolute paths shortened to their names: the rest says who you are.

    >>> without_local_folders("output_folder: /scratch/ann/runs/tiny, seed: 1")
    'output_folder: tiny, seed: 1'
    """
    return _ABSOLUTE.sub(lambda found: found.group(1), text)


def demand_plain_text(value: Any, origin: object) -> None:
    """Refuse control and invisible characters in all texts of a document.

    Lines and tabs are allowed. Raises ValueError.

    >>> demand_plain_text({"labels": ["angry", "生气"]}, "card.json")
    >>> demand_plain_text({"labels": ["\\x1b[2J"]}, "card.json")
    Traceback (most recent call last):
    ...
    ValueError: card.json: '\\x1b[2J' has ...
    """
    if isinstance(value, Mapping):
        for pair in value.items():
            demand_plain_text(list(pair), origin)
    elif isinstance(value, list):
        for item in value:
            demand_plain_text(item, origin)
    elif isinstance(value, str):
        text = value.replace("\n", " ").replace("\t", " ")
        if not text.isprintable():
            raise ValueError(
                f"{origin}: {value[:80]!a} has characters that cannot be "
                "shown: correct the file or get it from its origin."
            )


def shown(text: object, length: int = 100) -> str:
    """Write somebody's text into a message: short, and escaped if need be.

    >>> shown("encoder.layers.0"), shown("\x1b[2J"), shown("x" * 200, 5)
    ('encoder.layers.0', "'\\\\x1b[2J'", 'xxxxx...')
    """
    text = str(text)
    short = text if len(text) <= length else f"{text[:length]}..."
    return short if short.isprintable() else ascii(short)


def _unseen(character: str) -> bool:
    return (
        unicodedata.category(character) in _UNSEEN and character not in _JOINERS
    )


def _spelt(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return ascii(character)[1:-1]
