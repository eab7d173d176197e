"""Text of others that will be shown: nothing in it steers a terminal."""

from collections.abc import Mapping
from typing import Any


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
