"""A table as Markdown, CSV and LaTeX."""

import csv
import io
from dataclasses import dataclass

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
}


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
        text = ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]
        text[1] = "|" + "---|" * len(self.header)
        return "\n".join(text)

    def csv(self) -> str:
        """Comma-separated values with a header."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.rows)
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


def _cell(text: str) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _escaped(text: str) -> str:
    escaped = "".join(_LATEX.get(letter, letter) for letter in str(text))
    # A row that begins with a bracket would be an option of the row before.
    return "{}" + escaped if escaped.startswith("[") else escaped
