"""Every command and snippet of README and docs runs as it stands there.

In a copy of the checkout, after a small demo. Two commands are shortened, by
name; a block that needs a download or a corpus is marked where it stands:
``<!-- not run: why -->``.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    *sorted(f"docs/{path.name}" for path in REPOSITORY.glob("docs/*.md")),
]
BLOCK = re.compile(
    r"^(?P<mark><!-- not run: [^\n]+ -->\n)?```(?P<language>bash|python)\n"
    r"(?P<code>.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
# `python` of the shell: hours become seconds, nothing else is changed.
PYTHON = """#!/bin/sh
case "$*" in
    *" --updates "*) ;;
    *"train.py hparams/pretrain_"* | *"train.py hparams/vesper_"*)
        set -- "$@" --updates 4 ;;
    *"train.py hparams/linear.yaml"*) set -- "$@" --number_of_epochs 2 ;;
esac
exec {python} "$@"
"""
E2V = """#!/bin/sh
exec {python} -m speechbrain_e2v.cli "$@"
"""


def blocks(page):
    """Language, code and mark of each block of a page."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        yield found["language"], found["code"], found["mark"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout in which a small demo has run."""
    folder = tmp_path_factory.mktemp("pages") / "checkout"
    shutil.copytree(
        REPOSITORY,
        folder,
        ignore=shutil.ignore_patterns(
            ".git", ".venv", "results", "__pycache__", "*.egg-info", "golden"
        ),
    )
    binaries = folder.parent / "bin"
    binaries.mkdir()
    for name, text in (("python", PYTHON), ("e2v", E2V)):
        (binaries / name).write_text(text.format(python=sys.executable))
        (binaries / name).chmod(0o755)
    path = [str(binaries), str(Path(sys.executable).parent)]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([*path, os.environ["PATH"]]),
        "PYTHONPATH": str(folder),
    }

    def run(command, source):
        done = subprocess.run(
            command,
            input=source,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (
            f"{source}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        )

    run(
        ["sh", "-e"],
        "python -m speechbrain_e2v.tools.demo --output results/demo "
        "--speakers 3 --updates 4",
    )
    return run


@pytest.mark.parametrize("page", PAGES)
def test_page_runs(page, request):
    ready = [
        (language, code)
        for language, code, mark in blocks(page)
        # The first block of README is what runs this test.
        if not mark and not code.startswith("make demo\n")
    ]
    for language, code in ready:
        run = request.getfixturevalue("checkout")
        run(["sh", "-e"] if language == "bash" else ["python", "-"], code)


def test_every_block_is_seen():
    """An opening fence with another word, or a mark too far away, is none."""
    for page in PAGES:
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        fences = re.findall(r"^```(?:bash|python)$", text, flags=re.MULTILINE)
        found = list(blocks(page))
        assert len(fences) == len(found), page
        assert text.count("<!-- not run") == sum(bool(b[2]) for b in found)
