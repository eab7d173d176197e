"""FunASR's emotion2vec class, the only place that imports FunASR."""

import contextlib
import io
import logging
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
import yaml
from weights import write_for_peer


class Peer:
    """FunASR's class with our weights, used as its `inference` does.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
        Written in the published layout and read back by FunASR's own loader.

    Raises
    ------
    SystemExit
        When FunASR is not installed.
    """

    def __init__(self, encoder):
        with tempfile.TemporaryDirectory() as folder:
            write_for_peer(folder, encoder)
            self.model = load_funasr(folder)

    @torch.no_grad()
    def frames(self, wav):
        """Return features [T, D] of one waveform [S]."""
        source = F.layer_norm(wav, wav.shape).view(1, -1)
        return self.model.extract_features(source)["x"][0]


def load_funasr(folder):
    """Build FunASR's model from a folder, with FunASR's own loader.

    Arguments
    ---------
    folder : str or Path
        model.pt and config.yaml.

    Returns
    -------
    torch.nn.Module
    """
    try:
        # Its import tries all of its models and prints what they miss.
        with contextlib.redirect_stdout(io.StringIO()):
            from funasr.models.emotion2vec.model import Emotion2vec
            from funasr.train_utils.load_pretrained_model import (
                load_pretrained_model,
            )
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"the peer cannot be loaded ({error}): pip install -e '.[bench]' "
            "installs FunASR, which these comparisons alone need"
        ) from error
    logging.getLogger().setLevel(logging.WARNING)
    folder = Path(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    model = Emotion2vec(model_conf=config["model_conf"])
    load_pretrained_model(
        path=str(folder / "model.pt"),
        model=model,
        ignore_init_mismatch=False,
        scope_map=config["scope_map"],
    )
    return model.eval()
