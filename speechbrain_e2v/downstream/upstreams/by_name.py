"""An upstream by its name, outside of an experiment's yaml."""

from pathlib import Path

from hyperpyyaml import load_hyperpyyaml

from speechbrain_e2v.downstream.upstreams import Upstream
from speechbrain_e2v.training.upstream_yaml import upstream_file
from speechbrain_e2v.training.yaml_bases import merged_yaml

_TRAINED = "emotion2vec"


def upstream_by_name(source: str, device: str = "cpu") -> Upstream:
    """Build what ``hparams/upstreams/<source>.yaml`` says.

    ``source`` may also be a yaml file of that form, or an encoder: a folder, a
    published file or a hub id, whose last layer is taken.

    Raises ValueError when it is none of these; FileNotFoundError.

    >>> upstream_by_name("mfcc").dim
    480
    """
    overrides = {}
    is_yaml = source.endswith((".yaml", ".yml"))
    if not is_yaml and (Path(source).exists() or "/" in source):
        file, overrides = upstream_file(_TRAINED), {"encoder": source}
    else:
        file = upstream_file(source)
    hparams = load_hyperpyyaml(merged_yaml(file), overrides)
    if "upstream" not in hparams:
        raise ValueError(f"{file} has no upstream")
    return hparams["upstream"](device=device)
