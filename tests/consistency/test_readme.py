"""Scores in README and docs are those of the page that `e2v table` wrote."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"\d+\.\d\d")


def rows_of(text, first):
    """Corpus and protocol to the numbers of each row of a table."""
    lines = text[text.index(first) :].splitlines()[2:]
    table = {}
    for line in lines:
        if not line.startswith("|"):
            return table
        corpus, protocol, *cells = line.strip("|").split("|")
        protocol = protocol.replace("†", "").strip(" `")
        numbers = [NUMBER.match(cell.strip(" -")) for cell in cells]
        table[corpus.strip(), protocol] = [n.group() for n in numbers if n]
    return table


@pytest.mark.parametrize("page", ["README.md", "docs/corpora.md"])
def test_scores_of_all_corpora(page):
    readme = (ROOT / page).read_text("utf-8")
    results = (ROOT / "recipes/RESULTS.md").read_text("utf-8")
    shown = rows_of(readme, "| corpus | protocol | paper |")
    known = rows_of(results, "| corpus | protocol | score | paper |")
    assert len(shown) >= 6
    for key, numbers in shown.items():
        assert numbers and numbers == known[key][: len(numbers)], key
