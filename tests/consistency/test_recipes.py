"""Recipe folders: one shim, one prepare script, a README."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = sorted(
    path.parent for path in (REPOSITORY / "recipes").glob("*/*_prepare.py")
)


def shim(path):
    """Syntax tree of a ``train.py`` without docstring and corpus."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path}: no docstring with the command"
    tree.body = tree.body[1:]
    corpus = None
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.endswith(
            "_prepare"
        ):
            assert (path.parent / f"{node.module}.py").is_file(), path
            (alias,) = node.names
            corpus, alias.name, node.module = alias.name, "CORPUS", "prepare"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == corpus:
            node.id = "CORPUS"
    return ast.dump(tree, indent=1)


def test_shims_are_equal():
    shims = sorted((REPOSITORY / "recipes").glob("*/train.py"))
    if not shims:
        pytest.skip("no recipe yet")
    trees = {path.parent.name: shim(path) for path in shims}
    first = next(iter(trees.values()))
    assert "CORPUS" in first
    different = [name for name, tree in trees.items() if tree != first]
    assert not different, f"differ from {next(iter(trees))}: {different}"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folder_is_complete(folder):
    assert (folder / "README.md").is_file()
    (prepare,) = folder.glob("*_prepare.py")
    name = folder.name.lower().replace("-", "_")
    assert prepare.name == f"{name}_prepare.py"
    if (folder / "train.py").is_file():
        assert list(folder.glob("hparams/*.yaml"))


def test_shim_sees_a_difference(tmp_path):
    """The comparison can fail."""
    (tmp_path / "a_prepare.py").write_text("")
    source = '"""d"""\nfrom a_prepare import A\nrun(A)\n'
    (tmp_path / "one.py").write_text(source)
    (tmp_path / "two.py").write_text(source.replace("d", "other", 1))
    (tmp_path / "three.py").write_text(source.replace("run(A)", "run(A, 1)"))
    one, two, three = (
        shim(tmp_path / f"{name}.py") for name in ("one", "two", "three")
    )
    assert one == two != three
