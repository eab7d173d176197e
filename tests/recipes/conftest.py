"""A tiny encoder, and recipes that run in the process of the test."""

import sys

import pytest
import torch

from speechbrain_e2v.downstream import run as recipe_module
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import save_encoder
from speechbrain_e2v.report.find_corpora import load_corpus
from speechbrain_e2v.report.jobs import Job
from tests.recipes.fake_corpora import RECIPES


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=16, num_heads=4, prenet_depth=1, depth=1,
        num_extra_tokens=2, conv_channels=8, pos_conv_groups=4,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("mine") / "encoder"
    return save_encoder(folder, encoder, {"pretraining": {"calls": 0.1}})


@pytest.fixture
def in_process(monkeypatch):
    """Jobs run here, and are recorded; SpeechBrain's hook is taken back."""
    ran = []

    def run(job):
        script, *argv = job.command
        ran.append((job.corpus, job.protocol, job.features))
        job.output.mkdir(parents=True, exist_ok=True)
        try:
            recipe_module.downstream(
                load_corpus(RECIPES / script.split("/")[-2]), argv
            )
        except SystemExit as error:
            return str(error).removeprefix("error: ")
        job.note_done()
        return None

    monkeypatch.setattr(Job, "run", run)
    monkeypatch.setattr(
        "speechbrain.utils.logger.get_environment_description", str
    )
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return ran
