"""Folders below a root that nobody may read stop nothing."""

from pathlib import Path

from speechbrain_e2v.report.find_corpora import find_corpora

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def test_an_unreadable_folder_is_named_and_left_out(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").touch()
    listed = Path.iterdir

    def iterdir(folder):
        if folder.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = find_corpora(tmp_path, [RECIPES / "Custom"])
    assert found == {"Custom": [tmp_path / "mine"]}
    assert "lost+found may not be read" in capsys.readouterr().out
