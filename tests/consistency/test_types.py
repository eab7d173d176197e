"""Public functions say what they take and what they give."""

import ast


def unannotated(tree):
    """Names of public functions and methods with a part left open."""
    for node in tree.body:
        methods = node.body if isinstance(node, ast.ClassDef) else [node]
        if getattr(node, "name", "_").startswith("_"):
            continue
        for function in methods:
            if not isinstance(function, ast.FunctionDef):
                continue
            if function.name.startswith("_") and function.name != "__init__":
                continue
            given = function.args
            named = given.posonlyargs + given.args + given.kwonlyargs
            named += [a for a in (given.vararg, given.kwarg) if a]
            if isinstance(node, ast.ClassDef) and not any(
                getattr(d, "id", "") == "staticmethod"
                for d in function.decorator_list
            ):
                named = named[1:]
            open_return = function.returns is None
            if function.name == "__init__":
                open_return = False
            if open_return or any(a.annotation is None for a in named):
                yield f"{node.name}.{function.name}"


def test_public_functions_are_annotated(repository):
    missing = [
        f"{path.relative_to(repository)}: {name}"
        for path in sorted((repository / "speechbrain_e2v").rglob("*.py"))
        for name in unannotated(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not missing, "\n".join(missing)


def test_what_is_open_is_found():
    source = (
        "def a(x): ...\n"
        "def b(x: int) -> None: ...\n"
        "class C:\n"
        "    def d(self, x: int): ...\n"
        "    def _e(self, x): ...\n"
        "    @staticmethod\n"
        "    def f(x: int) -> int: ...\n"
    )
    assert list(unannotated(ast.parse(source))) == ["a.a", "C.d"]
