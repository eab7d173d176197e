"""Every yaml loads, with its objects built."""

import io
import re
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.training.yaml_bases import merged_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FRAGMENTS = REPOSITORY / "hparams" / "fragments"
YAMLS = sorted(
    [
        *(REPOSITORY / "hparams").glob("*.yaml"),
        *(REPOSITORY / "hparams" / "probes").glob("*.yaml"),
        *(REPOSITORY / "recipes").glob("*/hparams/*.yaml"),
    ]
)
PLACEHOLDER = re.compile(r"^(\w+):\s*!PLACEHOLDER", flags=re.MULTILINE)
INCLUDE = re.compile(r"!include:(\S+)")
BASE = re.compile(r"[^\s,\[\]]+\.yaml")


def name_of(path):
    return path.relative_to(REPOSITORY).as_posix()


def stream_of(path):
    stream = io.StringIO(merged_yaml(path))
    stream.name = str(path)  # where includes are looked for
    return stream


def named_in(path):
    """Files that a yaml includes or has for bases."""
    text = path.read_text(encoding="utf-8")
    bases = re.findall(r"^base: (.+)$", text, flags=re.MULTILINE)
    names = INCLUDE.findall(text) + BASE.findall(" ".join(bases))
    return {(path.parent / name).resolve() for name in names}


def test_there_are_some():
    if not YAMLS:
        pytest.skip("no yaml yet")
    assert any(path.name == "pretrain.yaml" for path in YAMLS)


@pytest.mark.parametrize("path", YAMLS, ids=name_of)
def test_yaml_loads(path, tmp_path):
    text = merged_yaml(path)
    overrides = {
        key: [f"{key}.json"] if key == "manifests" else f"/nowhere/{key}"
        for key in PLACEHOLDER.findall(text)
    }
    assert "output_folder" in text, "a run has to say where it writes"
    overrides["output_folder"] = str(tmp_path)
    # Shapes without memory: the large models are built in no time.
    with torch.device("meta"):
        hparams = load_hyperpyyaml(stream_of(path), overrides)
    for name, module in hparams.get("modules", {}).items():
        assert isinstance(module, torch.nn.Module), name
        # `!copy`, or one key built twice, would train another model than the
        # one that is saved.
        assert module is hparams[name], name


@pytest.mark.parametrize("path", YAMLS, ids=name_of)
def test_unknown_keys_are_refused(path):
    with torch.device("meta"), pytest.raises(KeyError, match="no_such_key"):
        load_hyperpyyaml(stream_of(path), {"no_such_key": 1})


def test_fragments_are_used():
    """What nothing includes is loaded by no test."""
    files = [*YAMLS, *FRAGMENTS.glob("*.yaml")]
    included = set().union(*map(named_in, files))
    assert set(FRAGMENTS.glob("*.yaml")) <= included
    assert all(path.is_file() for path in included)


def test_included_arguments_exist():
    """HyperPyYAML lets an unknown argument of an include pass: we do not."""
    for path in YAMLS:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"!include:(\S+)\n((?:[ \t]+\S.*\n)*)", text):
            fragment = (path.parent / match[1]).read_text(encoding="utf-8")
            known = set(re.findall(r"^(\w+):", fragment, flags=re.MULTILINE))
            given = set(
                re.findall(r"^[ \t]+(\w+):", match[2], flags=re.MULTILINE)
            )
            assert given <= known, (name_of(path), given - known)
