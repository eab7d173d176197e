"""Imports point down, and heavy or foreign packages stay where they belong."""

import ast
import subprocess
import sys

import pytest

PACKAGE = "speechbrain_e2v"

# What a package may import beside itself, from the lowest to the highest.
# The loose modules `console` and `metrics` import nothing of ours.
LOWEST = {"console", "files", "metrics"}
TRAINING = LOWEST | {"lobes", "training"}
MATERIAL = TRAINING | {"corpora", "published"}
USES = MATERIAL | {"pretraining", "inference"}
ALLOWED = {
    "__init__": set(),
    "files": {"console", "files"},
    "console": set(),
    "metrics": set(),
    "lobes": {"lobes"},
    "training": TRAINING,
    "corpora": TRAINING | {"corpora"},
    "published": TRAINING | {"published"},
    "pretraining": MATERIAL | {"pretraining"},
    "inference": MATERIAL | {"inference"},
    "downstream": USES | {"downstream"},
    "report": USES | {"downstream", "report"},
    "tools": USES | {"downstream", "report", "tools"},
    "cli": {"console", "files", "tools"},
}
# Extras: only inside the function that needs them.
OPTIONAL = {
    "gradio",
    "onnx",
    "onnxruntime",
    "transformers",
    "umap",
}
NEVER = {"fairseq", "funasr", "modelscope"}


def package_files(repository):
    return sorted((repository / PACKAGE).rglob("*.py"))


def part_of(path, repository):
    first = path.relative_to(repository / PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(nodes):
    """Full names of the modules which import statements name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "." * node.level + (node.module or "")
            elif node.module == PACKAGE:
                yield from (f"{PACKAGE}.{alias.name}" for alias in node.names)
            else:
                yield node.module


def syntax_tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_imports_point_down(repository):
    wrong = []
    for path in package_files(repository):
        part = part_of(path, repository)
        assert part in ALLOWED, f"{path}: add {part!r} to ALLOWED"
        for name in imported(ast.walk(syntax_tree(path))):
            if name.startswith("."):
                wrong.append(f"{path.name}: relative import {name}")
            elif name == PACKAGE or name == f"{PACKAGE}.__version__":
                continue
            elif name.startswith(f"{PACKAGE}."):
                if name.split(".")[1] not in ALLOWED[part]:
                    wrong.append(f"{part}/{path.name} imports {name}")
    assert not wrong, wrong


def test_the_core_needs_torch_alone(repository):
    wrong = []
    for path in package_files(repository):
        part = part_of(path, repository)
        if part != "lobes":
            continue
        allowed = {"torch", PACKAGE, *sys.stdlib_module_names}
        for name in imported(ast.walk(syntax_tree(path))):
            if name.split(".")[0] not in allowed:
                wrong.append(f"{part}/{path.name} imports {name}")
    assert not wrong, wrong


def test_the_generated_corpus_needs_no_torch(repository):
    command = (
        "import sys, speechbrain_e2v.corpora.synthetic.corpus; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", command], cwd=repository, check=True)


def test_extras_are_imported_late_and_references_never(repository):
    wrong = []
    for path in package_files(repository):
        tree = syntax_tree(path)
        for names, nodes in (
            (OPTIONAL | NEVER, tree.body),
            (NEVER, ast.walk(tree)),
        ):
            for name in imported(nodes):
                if name.split(".")[0] in names:
                    wrong.append(f"{path.name} imports {name}")
    assert not wrong, wrong


def test_importing_the_package_imports_nothing_heavy(repository):
    command = (
        "import sys; before = set(sys.modules); import speechbrain_e2v; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [PACKAGE]


# Done in one place: for others to use, not to do again.
ALONE = {
    "tqdm": {"console.py"},  # bars on a terminal only
    # Unfinished things stand beside their target.
    "tempfile": {"doctor.py", "publish.py"},
    "fcntl": {"lock.py"},
}


def test_what_is_done_in_one_place(repository):
    wrong = []
    for path in package_files(repository):
        tree = syntax_tree(path)
        for name in imported(ast.walk(tree)):
            if path.name not in ALONE.get(name.split(".")[0], {path.name}):
                wrong.append(f"{path.name} imports {name}")
        # The process id is 1 in every container: no name for a file.
        names = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
        if "getpid" in names and path.name not in {"lock.py", "with_parent.py"}:
            wrong.append(f"{path.name} asks for the process id")
    assert not wrong, wrong


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b, c", ["a.b", "c"]),
        ("from a.b import c", ["a.b"]),
        (f"from {PACKAGE} import lobes", [f"{PACKAGE}.lobes"]),
        ("from . import x", ["."]),
        ("def f():\n    import late", ["late"]),
    ],
)
def test_the_parser_sees_every_form(source, names):
    assert list(imported(ast.walk(ast.parse(source)))) == names
