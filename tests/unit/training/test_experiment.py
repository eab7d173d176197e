"""Command lines that work, and one line about those that do not."""

import pytest

from speechbrain_e2v.console import one_line_errors
from speechbrain_e2v.training.experiment import (
    load_experiment,
    recipe_usage,
)

KEYS = ("seed", "data_folder", "lr", "output_folder")
TEXT = """# First line of the yaml.
seed: 1
width: 4
lr: !ref <width> * 2
data_folder: !PLACEHOLDER
output_folder: results
"""


@pytest.fixture
def yaml_file(tmp_path):
    path = tmp_path / "hparams" / "x.yaml"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_overrides_and_run_options(yaml_file):
    argv = [str(yaml_file), "--data_folder", "/d", "--width=3"]
    experiment = load_experiment([*argv, "--device", "cpu:0"], KEYS)
    assert experiment.hparams["lr"] == 6
    assert experiment.hparams["data_folder"] == "/d"
    assert experiment.run_opts.device == "cpu:0"
    assert "device" not in experiment.hparams
    assert experiment.command[1:] == [*argv, "--device", "cpu:0"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "data_folder is not given; add --data_folder"),
        (["--data_foldr", "/d"], "--data_foldr; did you mean data_folder"),
        (["--data_folder"], "--data_folder has no value"),
        (["--data_folder=/a=b"], "cannot hold '='"),
        (["--data_folder", "/a", "--data_folder=/b"], "given twice"),
        (["--data_folder", "/a=b"], "cannot hold '='"),
        (["--data_folder", "/d", "--lr", "[1"], "not readable as yaml"),
    ],
)
def test_bad_options_are_named(yaml_file, options, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        load_experiment([str(yaml_file), *options], KEYS)


def test_unknown_keys_of_the_yaml_are_named(yaml_file):
    yaml_file.write_text(TEXT + "n_fold: 3\n")
    argv = [str(yaml_file), "--data_folder", "/d"]
    with pytest.raises(ValueError, match="n_fold; did you mean n_folds"):
        load_experiment(argv, [*KEYS, "n_folds"])
    yaml_file.write_text(TEXT + "n_fold: 3\nk: !ref <n_fold>\n")
    load_experiment(argv, [*KEYS, "k"])  # known, as something uses it


def test_a_broken_yaml_is_named(yaml_file):
    yaml_file.write_text(TEXT + "lr: 3\n")
    with pytest.raises(ValueError, match=r"(?s)x\.yaml is not readable.*lr"):
        load_experiment([str(yaml_file), "--data_folder", "/d"], KEYS)


def test_a_missing_yaml_lists_those_there_are(yaml_file):
    with pytest.raises(ValueError, match=r"no .*y\.yaml; there are .*x\.yaml"):
        load_experiment([str(yaml_file.with_name("y.yaml"))], KEYS)


def test_folder_holds_log_and_resolved_yaml(yaml_file, tmp_path):
    argv = [str(yaml_file), "--data_folder", "/d"]
    argv += ["--output_folder", str(tmp_path / "out")]
    load_experiment(argv, KEYS).make_folder()
    text = (tmp_path / "out" / "hyperparams.yaml").read_text()
    assert "lr: 8" in text
    assert (tmp_path / "out" / "log.txt").is_file()


def test_only_errors_of_the_user_become_one_line():
    with pytest.raises(SystemExit, match="error: no such file"):
        with one_line_errors():
            raise FileNotFoundError("no such file")
    with pytest.raises(RuntimeError), one_line_errors():
        raise RuntimeError("a bug keeps its traceback")


def test_usage_lists_the_yaml_files(yaml_file):
    script = yaml_file.parents[1] / "train.py"
    usage = recipe_usage(script, "Title", "hparams/x.yaml --data_folder D")
    assert "hparams/x.yaml" in usage
    assert "First line of the yaml." in usage
    assert "python train.py hparams/x.yaml --data_folder D" in usage


def test_the_script_that_was_started_is_kept(yaml_file, tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text("# of a recipe\n")
    monkeypatch.setattr("sys.argv", [str(script)])
    out = tmp_path / "run"
    argv = [str(yaml_file), "--data_folder", "/d", "--output_folder", str(out)]
    for _ in range(2):
        load_experiment(argv, KEYS).make_folder()
        assert (out / "train.py").read_text() == "# of a recipe\n"
        assert not (out / "experiment.py").exists()
