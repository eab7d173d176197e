"""`e2v table` from results to files."""

from speechbrain_e2v.cli import main
from tests.unit.report.made_up_runs import write_run


def test_files_of_every_kind(tmp_path, capsys):
    write_run(tmp_path / "r", "mine", [(0, 1), (0, 0)])
    write_run(tmp_path / "s", "mfcc", [(0, 0), (0, 0)])
    files = [str(tmp_path / f"t.{suffix}") for suffix in ("md", "csv", "tex")]
    assert main(["table", str(tmp_path), "-o", *files]) == 0
    assert capsys.readouterr().out.split() == files
    texts = [open(name, encoding="utf-8").read() for name in files]
    assert texts[0].startswith("# Results\n") and "75.00" in texts[0]
    assert texts[1].startswith("corpus,protocol,features,")
    assert r"random\_kfold & WA & 84.34 &" in texts[2]
    assert main(["table", str(tmp_path)]) == 0
    assert capsys.readouterr().out == texts[0]


def test_the_matrix(tmp_path, repository, capsys):
    for name in ("EmoDB", "MEAD"):
        (tmp_path / name).symlink_to(repository / "recipes" / name)
    write_run(tmp_path / "r", "mine", [(0, 1), (0, 0)])
    page = tmp_path / "README.md"
    assert main(["table", str(tmp_path / "r"), "--matrix", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "mine: 75.00 / 75.00 / 66.67 | a |" in text
    assert "| constant: 50.00 / 50.00 / 33.33; prior: 50.00 / " in text
    assert "| no data here |" in text
    assert "* a: m1\n" in text


def test_bad_arguments(tmp_path, capsys):
    for arguments, message in (
        ([], "no results are given"),
        ([str(tmp_path)], "there is no results.json"),
        ([str(tmp_path), "-o", "t.html"], "a table is .md, .csv, .tex"),
    ):
        assert main(["table", *arguments]) == 1
        assert message in capsys.readouterr().err
