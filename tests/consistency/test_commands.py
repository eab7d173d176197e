"""The commands in READMEs name files, targets and subcommands that exist."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
READMES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "recipes/*.md",
                    "recipes/*/README.md", "benchmarks/*.md")
    for path in REPOSITORY.glob(pattern)
)  # fmt: skip
BLOCK = re.compile(r"^```bash\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)\)")
LAUNCHERS = {"python", "python3", "torchrun"}


def commands(text):
    """Lines of all bash blocks as lists of words; `\\` joins lines."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            for piece in re.split(r"&&|;|\|", line):
                words = shlex.split(piece, comments=True)
                while words and re.fullmatch(r"\w+=\S*", words[0]):
                    words.pop(0)
                if words:
                    yield words


def make_targets():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY:(.*)$", text, flags=re.MULTILINE)
    return set(phony.split())


@pytest.fixture(scope="module")
def subcommands():
    """What ``e2v --help`` lists between braces."""
    done = subprocess.run(
        [sys.executable, "-m", "speechbrain_e2v.cli", "--help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(re.split(r"[^\w-]+", done.stdout))


def problem(words, folder, subcommands):
    """What is wrong with one command run in ``folder``, or None."""
    program, *arguments = words
    program = program.removeprefix(".venv/bin/")
    if program == "make":
        targets = [word for word in arguments if "=" not in word]
        unknown = set(targets) - make_targets()
        return f"make has no target {sorted(unknown)}" if unknown else None
    if program == "e2v":
        # Asked for only now: the fixture starts a process.
        name = arguments[0] if arguments else ""
        if name.startswith("-") or name in subcommands():
            return None
        return f"e2v has no {name!r}"
    if program not in LAUNCHERS:
        return None
    if arguments[:1] == ["-m"]:
        module = arguments[1]
        if not module.startswith("speechbrain_e2v"):
            return None
        found = importlib.util.find_spec(module)
        return None if found else f"no module {module}"
    files = [word for word in arguments if word.endswith((".py", ".yaml"))]
    for file in files:
        if "../shared" in file:  # beside the checkout, not in it
            continue
        if not (folder / file).is_file():
            return f"no {file} in {folder}"
    return None


@pytest.mark.parametrize(
    "readme", READMES, ids=lambda p: p.relative_to(REPOSITORY).as_posix()
)
def test_commands_exist(readme, request):
    def listed():
        return request.getfixturevalue("subcommands")

    wrong = []
    for block in BLOCK.finditer(readme.read_text(encoding="utf-8")):
        # A block starts at the root, or beside the README where its first
        # command only makes sense there; `cd` moves on from there.
        problems = []
        for start in (REPOSITORY, readme.parent):
            folder, found = start, []
            for words in commands(block[0]):
                if words[0] == "cd" and (folder / words[1]).is_dir():
                    folder = folder / words[1]
                    continue
                trouble = problem(words, folder, listed)
                if trouble:
                    found.append(f"{' '.join(words)}: {trouble}")
            problems.append(found)
        wrong.extend(min(problems, key=len))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "readme", READMES, ids=lambda p: p.relative_to(REPOSITORY).as_posix()
)
def test_links_exist(readme):
    text = readme.read_text(encoding="utf-8")
    missing = [
        target
        for target in LINK.findall(text)
        if "://" not in target
        and not target.startswith("mailto:")
        and not (readme.parent / target).exists()
    ]
    assert not missing, missing


def test_ci_runs_what_the_readme_says():
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert script.splitlines()[-1] == "make test"
    assert "set -euo pipefail" in script


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        ("make test", None),
        ("make tset", "tset"),
        ("python setup.py", None),
        ("python no_such.py", "no_such.py"),
        ("OMP_NUM_THREADS=1 python setup.py x.yaml", "x.yaml"),
        ("python -m speechbrain_e2v.corpora.synthetic", None),
        ("python -m speechbrain_e2v.no_such", "no_such"),
        ("e2v no_such", "no_such"),
        ("python ../shared/data/unpack.py DIR", None),
    ],
)
def test_the_check_finds_what_is_wrong(command, trouble):
    (words,) = commands(f"```bash\n{command}  # why\n```\n")
    found = problem(words, REPOSITORY, lambda: {"extract"})
    assert (found is None) if trouble is None else (trouble in found)
