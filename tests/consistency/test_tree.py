"""What must not be in the tree."""

import re
import subprocess
import warnings

import pytest

MAX_LINES = 300
MAX_LOOSE = 4
VAGUE = re.compile(r"(utils?|common|helpers?|misc)\.py")
MEDIA = re.compile(
    r".*\.(wav|flac|mp3|mp4|m4a|ogg|pt|pth|ckpt|bin|onnx|safetensors)"
)
# Spelled in pieces, so that this file does not find itself.
PRIVATE = re.compile(
    r"(?<![\w.<>{}/-])/(" + "|".join(("ro" "ot", "ho" "me", "tm" "p")) + ")/\\w"
)  # fmt: skip


@pytest.fixture(scope="module")
def tree(repository):
    """Files that are, or could be, in git."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in done.stdout.split("\0") if name]
    return [name for name in names if (repository / name).is_file()]


def test_long_files_are_named(repository):
    """Ideas make files, not a number: this only says where to look."""
    lengths = {
        path.relative_to(repository).as_posix(): len(
            path.read_text(encoding="utf-8").splitlines()
        )
        for path in (repository / "speechbrain_e2v").rglob("*.py")
    }
    for name, lines in sorted(lengths.items()):
        if lines > MAX_LINES:
            warnings.warn(f"{name} has {lines} lines: one idea?", stacklevel=1)
    top = [name for name in lengths if name.count("/") == 1]
    assert len(top) <= MAX_LOOSE, f"loose modules at the top: {sorted(top)}"


def test_names_say_what_is_inside(tree):
    vague = [name for name in tree if VAGUE.fullmatch(name.split("/")[-1])]
    assert not vague


def test_no_audio_and_no_weights(tree):
    assert not [name for name in tree if MEDIA.fullmatch(name.lower())]


def test_no_private_paths(tree, repository):
    found = []
    for name in tree:
        try:
            text = (repository / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if PRIVATE.search(text) or f"{repository.parent}/" in text:
            found.append(name)
    assert not found, f"paths of one machine in {found}"


def test_version_is_the_same_everywhere(repository):
    from speechbrain_e2v import __version__

    citation = (repository / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {__version__}\n" in citation
    changelog = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {__version__}" in changelog


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("see /ro" "ot/x", True),
        ("'/tm" "p/x'", True),
        ("results/tm" "p/x", False),
        ("<output>/ho" "me/x", False),
    ],
)
def test_the_pattern_finds_paths(text, private):
    assert bool(PRIVATE.search(text)) == private
