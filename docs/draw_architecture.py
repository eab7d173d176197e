#!/usr/bin/env python3
"""Draw docs/architecture.svg: the packages, and which imports which.

Boxes and arrows are read from the import statements of the package; only
where a box stands is said here.

> python docs/draw_architecture.py
"""

import ast
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "speechbrain_e2v"
# Lowest floor first. A package that is missing here is an error.
FLOORS = (
    ("lobes", "files"),
    ("training",),
    ("corpora", "published"),
    ("pretraining", "inference"),
    ("downstream",),
    ("report",),
    ("tools",),
)
WIDTH, HEIGHT, GAP = 400, 58, 46
PAGE = 2 * WIDTH + 3 * GAP
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}"
 font-family="sans-serif" role="img" aria-label="Packages and their imports">
<rect width="{w}" height="{h}" fill="#ffffff"/>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"
 markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#5b6b7b"/>
</marker></defs>"""
BOX = """<g><rect x="{x}" y="{y}" width="{w}" height="{h}" rx="8"
 fill="#eef3f8" stroke="#31465c"/>
<text x="{cx}" y="{y1}" text-anchor="middle" font-size="16"
 font-weight="bold" fill="#16222e">{name}</text>
<text x="{cx}" y="{y2}" text-anchor="middle" font-size="10.5"
 fill="#31465c">{about}</text></g>"""
ARROW = (
    '<path d="M{x1} {y1}L{x2} {y2}" stroke="#5b6b7b" stroke-width="1.3" '
    'fill="none" marker-end="url(#head)" opacity="0.75"/>'
)


def packages():
    """Name to the first line of the package's docstring."""
    return {
        path.parent.name: ast.get_docstring(
            ast.parse(path.read_text(encoding="utf-8"))
        ).splitlines()[0]
        for path in sorted(PACKAGE.glob("*/__init__.py"))
    }


def imports():
    """Pairs (who, whom) of packages, from every import statement."""
    names = set(packages())
    pairs = set()
    for path in PACKAGE.rglob("*.py"):
        who = path.relative_to(PACKAGE).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            parts = module.split(".")
            if parts[0] == PACKAGE.name and len(parts) > 1:
                if who in names and parts[1] in names - {who}:
                    pairs.add((who, parts[1]))
    return pairs


def needed(pairs):
    """Pairs that do not follow from two others: what has to be drawn."""
    reach = {}

    def below(name):
        if name not in reach:
            direct = {b for a, b in pairs if a == name}
            reach[name] = direct.union(*map(below, direct))
        return reach[name]

    return {
        (a, b)
        for a, b in pairs
        if not any(b in below(c) for x, c in pairs if x == a and c != b)
    }


def places():
    """Name to the upper left corner of its box."""
    found = {}
    for floor, names in enumerate(reversed(FLOORS)):
        width = len(names) * WIDTH + (len(names) - 1) * GAP
        for column, name in enumerate(names):
            x = (PAGE - width) / 2 + column * (WIDTH + GAP)
            found[name] = (x, GAP / 2 + floor * (HEIGHT + GAP))
    return found


def draw():
    """The picture as text."""
    where, about = places(), packages()
    height = GAP + len(FLOORS) * (HEIGHT + GAP) - GAP
    lines = [HEAD.format(w=PAGE, h=height)]
    for who, whom in sorted(needed(imports())):
        (x1, y1), (x2, y2) = where[who], where[whom]
        ends = {"x1": x1 + WIDTH / 2, "y1": y1 + HEIGHT}
        lines.append(ARROW.format(**ends, x2=x2 + WIDTH / 2, y2=y2 - 1))
    for name in about:
        x, y = where[name]
        lines.append(
            BOX.format(
                x=x,
                y=y,
                w=WIDTH,
                h=HEIGHT,
                cx=x + WIDTH / 2,
                y1=y + 24,
                y2=y + 43,
                name=name,
                about=escape(about[name]),
            )  # fmt: skip
        )
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    (HERE / "architecture.svg").write_text(draw(), encoding="utf-8")
