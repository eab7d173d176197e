"""A table as Markdown, CSV and LaTeX, in which text of others stays text.

Names of corpora, encoders and classes, and what failed, were written by
others: no cell starts a formula, a link, a tag or a new line.
"""

import csv
import io
import re
from dataclasses import dataclass

from speechbrain_e2v.files.foreign_text import printable

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?")


class Markdown(str):
    """A cell that is Markdown already, of the package's own making."""


def single_line(text: object) -> str:
    r"""Text in one line, without what a terminal or an editor would obey.

    >>> single_line("a\nb\x1b[2Jc\u202ed")
    'a b\\x1b[2Jc\\u202ed'
    """
    return printable(" ".join(str(text).split()))


def file_name(text: str) -> str:
    """Text of others as the name of a file or folder.

    >>> file_name("emotion2vec/emotion2vec_base"), file_name("..")
    ('emotion2vec-emotion2vec_base', '-')
    """
    name = re.sub(r"[^\w.-]+", "-", text)
    return name if name.strip(".") else "-"


def markdown_text(text: str) -> str:
    r"""Text of others as Markdown that shows it as it is.

    >>> markdown_text("[a](b) | <b> *c* `d`, 1 [0, 2]")
    '[a\\](b) \\| &lt;b> \\*c\\* \\`d\\`, 1 [0, 2]'
    """
    if isinstance(text, Markdown):
        return str(text)
    escaped = re.sub(r"[|*`]", r"\\\g<0>", single_line(text))
    escaped = re.sub(r"&(?=[#\w]+;)", "&amp;", escaped)
    return escaped.replace("](", r"\](").replace("<", "&lt;")


@dataclass(frozen=True)
class Table:
    """Cells of text under headings.

    >>> table = Table(("a", "b"), (("x|y", "1"),))
    >>> print(table.markdown())
    | a | b |
    |---|---|
    | x\\|y | 1 |
    >>> table.csv()
    'a,b\\nx|y,1\\n'
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"{len(self.header)} headings, but {row}")

    def markdown(self) -> str:
        """A Markdown table, without a newline at its end."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        cells = [[markdown_text(text) for text in line] for line in lines]
        text = ["| " + " | ".join(line) + " |" for line in cells]
        text[1] = "|" + "---|" * len(self.header)
        return "\n".join(text)

    def csv(self) -> str:
        """Comma-separated values with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for line in (self.header, *self.rows):
            writer.writerow([_csv_cell(text) for text in line])
        return text.getvalue()

    def latex(self) -> str:
        """A tabular environment that needs no package."""
        lines = [
            r"\begin{tabular}{" + "l" * len(self.header) + "}",
            r"\hline",
            " & ".join(map(_escaped, self.header)) + r" \\",
            r"\hline",
            *(" & ".join(map(_escaped, row)) + r" \\" for row in self.rows),
            r"\hline",
            r"\end{tabular}",
        ]
        return "\n".join(lines) + "\n"


def _csv_cell(text: str) -> str:
    """Spreadsheets run what begins like a formula."""
    text = single_line(text)
    starts = text[:1] in ("=", "+", "-", "@") and len(text) > 1
    return f"'{text}" if starts and not _NUMBER.fullmatch(text) else text


def _escaped(text: str) -> str:
    escaped = "".join(
        _LATEX.get(letter, letter) for letter in single_line(text)
    )
    # A row that begins with a bracket would be an option of the row before.
    return "{}" + escaped if escaped.startswith("[") else escaped
