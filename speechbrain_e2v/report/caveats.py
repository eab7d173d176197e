"""What a reader has to know of a score: letters in tables, and their legend."""

from collections.abc import Iterable

from speechbrain_e2v.report.formats import markdown_text
from speechbrain_e2v.report.rows import ResultRow

NOTHING = "-"


def caveat_letters(rows: Iterable[ResultRow]) -> dict[str, str]:
    """Caveat to ``a``, ``b``, ... in order of first use."""
    caveats = dict.fromkeys(c for row in rows for c in row.caveats)
    return {caveat: _letters(number) for number, caveat in enumerate(caveats)}


def caveat_codes(rows: Iterable[ResultRow], letters: dict[str, str]) -> str:
    """The letters of some results, for one cell."""
    codes = {letters[caveat] for row in rows for caveat in row.caveats}
    return " ".join(sorted(codes)) or NOTHING


def legend(letters: dict[str, str]) -> str:
    """What the letters stand for, one a line."""
    lines = [
        f"* {letter}: {markdown_text(caveat)}"
        for caveat, letter in letters.items()
    ]
    return "Marks:\n\n" + "\n".join(lines) + "\n"


def _letters(number: int) -> str:
    letters = chr(ord("a") + number % 26)
    return letters if number < 26 else _letters(number // 26 - 1) + letters
