"""Another upstream under an experiment: what changes, and what stays."""

import io
import re

import pytest
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.training.experiment import load_experiment
from speechbrain_e2v.training.upstream_yaml import upstream_file, with_upstream
from speechbrain_e2v.training.yaml_bases import merged_yaml

UPSTREAMS = ["egemaps", "emotion2vec", "mfcc", "random"]


def put_over(repository, yaml, upstream, overrides=None):
    file = repository / yaml
    path = upstream_file(upstream, file)
    text = with_upstream(merged_yaml(file), path, file)
    given = {"data_folder": "x", **(overrides or {})}
    given = dict.fromkeys(missing(text), "z") | given
    return text, load_hyperpyyaml(io.StringIO(text), given)


def missing(text):
    """Keys that an upstream leaves to the command line."""
    return re.findall(r"^(\w+): !PLACEHOLDER", text, flags=re.MULTILINE)


def names(repository):
    folder = repository / "hparams" / "upstreams"
    return sorted(path.stem for path in folder.glob("*.yaml"))


def test_every_upstream_goes_under_a_recipe(repository):
    yaml = "recipes/EmoDB/hparams/linear.yaml"
    plain = load_hyperpyyaml(
        io.StringIO(merged_yaml(repository / yaml)),
        {"data_folder": "x", "encoder": "y"},
    )
    assert set(UPSTREAMS) <= set(names(repository))
    for name in names(repository):
        text, hparams = put_over(repository, yaml, name)
        assert hparams["output_folder"].startswith(f"results/{name}")
        assert hparams["output_folder"].endswith("/linear/random_kfold")
        assert callable(hparams["upstream"]) and hparams.get("encoder") != "y"
        for key in ("protocol", "n_folds", "seeds", "split_seed"):
            assert hparams[key] == plain[key], (name, key)
        described = hparams["classifier"].description
        assert described == plain["classifier"].description, name


def test_what_only_the_former_was_told_goes_with_it(repository):
    yaml = "recipes/EmoDB/hparams/linear.yaml"
    _, hparams = put_over(repository, yaml, "mfcc")
    assert not {"encoder", "layer"} & set(hparams)
    assert hparams["n_mfcc"] == 40


def test_layers_are_the_experiments(repository):
    for yaml, layer in (
        ("hparams/probes/sentiment.yaml", [-4, -3, -2, -1]),
        ("hparams/probes/weighted.yaml", "weighted"),
    ):
        given = {"protocol": "official", "n_folds": 1}
        _, hparams = put_over(repository, yaml, "emotion2vec", given)
        assert hparams["upstream"].keywords["layer"] == layer
    yaml = "recipes/EmoDB/hparams/mfcc.yaml"  # has none
    _, hparams = put_over(repository, yaml, "emotion2vec")
    assert hparams["upstream"].keywords["layer"] == "last"


def test_on_the_command_line(repository, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "gain: 1\nupstream: !name:builtins.dict\n    x: !ref <gain>\n"
    )
    yaml = str(repository / "recipes/EmoDB/hparams/linear.yaml")
    argv = [yaml, "--data_folder", "d", "--upstream", str(own), "--gain", "3"]
    found = load_experiment(argv, lambda hparams: hparams)
    assert found.hparams["upstream"]() == {"x": 3}
    assert found.hparams["output_folder"] == "results/own/linear/random_kfold"
    assert "--upstream" in found.command
    assert "builtins.dict" in found.resolved()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--upstream", "wavlm"], "no upstream wavlm; there are .*egemaps, "),
        (["--upstream", "../mfcc"], "no upstream ../mfcc"),
        (["--upstream", "no.yaml"], "no file no.yaml"),
        (["--upstream"], "--upstream has no value"),
        (["--upstream", "--seeds"], "--upstream has no value"),
        (["--upstream=mfcc", "--upstream", "mfcc"], "given twice"),
        (["--upstream", "mfcc", "--encoder", "x"], "unknown option --encoder"),
    ],
)
def test_what_cannot_be_is_one_line(repository, options, message):
    yaml = str(repository / "recipes/EmoDB/hparams/linear.yaml")
    with pytest.raises(ValueError, match=message) as error:
        load_experiment([yaml, "--data_folder", "x", *options], lambda h: h)
    assert "\n" not in str(error.value)


def test_a_yaml_without_upstream(repository, tmp_path):
    other = tmp_path / "x.yaml"
    other.write_text("seed: 1\n")
    with pytest.raises(ValueError, match="has no upstream to put another"):
        load_experiment([str(other), "--upstream", "mfcc"], ["seed"])
