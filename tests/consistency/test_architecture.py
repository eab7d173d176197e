"""The picture of the house shows the imports as they are."""

import re
import runpy

PAGE = re.compile(r"`(\w+)\.(\w+)`")


def test_the_picture_is_up_to_date(repository):
    script = runpy.run_path(str(repository / "docs/draw_architecture.py"))
    drawn = (repository / "docs/architecture.svg").read_text("utf-8")
    assert drawn == script["draw"](), "run: python docs/draw_architecture.py"


def test_arrows_that_follow_from_others_are_left_out(repository):
    script = runpy.run_path(str(repository / "docs/draw_architecture.py"))
    pairs = {("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")}
    assert script["needed"](pairs) == {("a", "b"), ("b", "c"), ("c", "d")}


def test_modules_of_the_page_exist(repository):
    page = (repository / "docs/architecture.md").read_text("utf-8")
    package = repository / "speechbrain_e2v"
    named = [(p, m) for p, m in PAGE.findall(page) if (package / p).is_dir()]
    assert len(named) > 15
    missing = [
        f"{p}.{m}" for p, m in named if not (package / p / f"{m}.py").is_file()
    ]
    assert not missing
