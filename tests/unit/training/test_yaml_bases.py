"""A yaml over its bases is the yaml that one would have written whole."""

import io

import pytest
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.training.experiment import load_experiment
from speechbrain_e2v.training.yaml_bases import merged_yaml


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "data.yaml").write_text(
        "folder: !PLACEHOLDER\nseeds: [1]\nout: !ref results/<name>\nname: a\n"
    )
    (tmp_path / "deep" / "head.yaml").write_text(
        "base: ../data.yaml\nlr: 0.1\nname: head\n"
        "opt: !name:torch.optim.Adam\n    lr: !ref <lr>\n"
    )
    (tmp_path / "own.yaml").write_text(
        "# Mine.\nbase: [data.yaml, deep/head.yaml]\nlr: 0.5\nseeds: [1, 2]\n"
    )
    return tmp_path


def test_later_ones_win_and_references_see_the_last_value(folder):
    text = merged_yaml(folder / "own.yaml")
    found = load_hyperpyyaml(io.StringIO(text), {"folder": "x"})
    assert "base" not in found
    assert found["seeds"] == [1, 2] and found["folder"] == "x"
    assert found["out"] == "results/head"
    assert found["opt"].keywords == {"lr": 0.5}


def test_options_and_the_archived_yaml_see_all_keys(folder):
    out = folder / "run"
    (folder / "own.yaml").write_text(
        f"base: deep/head.yaml\noutput_folder: {out}\n"
    )
    argv = [str(folder / "own.yaml"), "--folder", "x", "--lr", "0.2"]
    keys = ("opt", "seeds", "out", "folder", "output_folder")
    experiment = load_experiment(argv, keys)
    experiment.make_folder()
    with open(out / "hyperparams.yaml") as file:
        archived = load_hyperpyyaml(file)
    assert archived["opt"].keywords == {"lr": 0.2}
    assert archived["folder"] == "x"
    with pytest.raises(ValueError, match="unknown option --seed; did you mean"):
        load_experiment([*argv, "--seed", "3"], keys)
    with pytest.raises(ValueError, match="folder is not given"):
        load_experiment(argv[:1], keys)


def test_a_base_that_is_missing_or_a_circle(folder):
    (folder / "x.yaml").write_text("base: nowhere.yaml\n")
    with pytest.raises(ValueError, match=r"x.yaml: there is no base .*nowhere"):
        merged_yaml(folder / "x.yaml")
    (folder / "x.yaml").write_text("base: y.yaml\n")
    (folder / "y.yaml").write_text("base: x.yaml\n")
    with pytest.raises(ValueError, match="x.yaml has itself for a base"):
        merged_yaml(folder / "x.yaml")


def test_a_key_of_a_base_can_be_left_out(folder):
    path = folder / "fewer.yaml"
    path.write_text("base: deep/head.yaml\nopt: !absent\nlr: 0.3\n")
    assert merged_yaml(path).splitlines()[-1] == "lr: 0.3"
    found = load_hyperpyyaml(merged_yaml(path), {"folder": "x"})
    assert set(found) == {"folder", "seeds", "out", "name", "lr"}
