"""Fixtures for all tests.

``shared_folder`` and the large vectors of ``golden`` stand beside a checkout
and are no part of it: tests that ask for them are skipped where they are
absent. ``generated_corpus`` needs nothing.
"""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
GOLDEN = REPOSITORY / "tests" / "golden"


def pytest_configure():
    """Hear Ctrl-C: what a shell starts in the background ignores it.

    So would every process that a test starts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository():
    """Path of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_folder():
    """Path of ``../shared``; skips where there is none."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside this checkout")
    return folder


@pytest.fixture(scope="session")
def golden():
    """Loader of reference vectors: ``golden("masks")["some/name"]``.

    A name without suffix gives a dict of arrays, ``.safetensors`` a dict of
    tensors, ``.json`` the decoded value. What is small lies in
    ``tests/golden``; a test that asks for more is skipped where no
    ``../shared/golden`` stands beside the checkout.
    """

    def load(name):
        stem, _, suffix = name.partition(".")
        if name == "tiny_funasr_state.safetensors":
            return _funasr_state(load)
        for folder in (GOLDEN, REPOSITORY.parent / "shared" / "golden"):
            if suffix == "json" and (folder / name).is_file():
                return json.loads((folder / name).read_text(encoding="utf-8"))
            if (folder / f"{stem}.npz").is_file():
                with np.load(folder / f"{stem}.npz") as arrays:
                    values = {key: arrays[key] for key in arrays.files}
                if suffix != "safetensors":
                    return values
                return {k: torch.from_numpy(v) for k, v in values.items()}
        pytest.skip(f"no ../shared/golden/{name} beside this checkout")

    return load


def _funasr_state(load):
    """The same student under FunASR's names, without decoder and teacher."""
    state = load("tiny_fairseq_state.safetensors")
    return {
        **{
            f"d2v_model.{name}": value
            for name, value in state.items()
            if not name.startswith("_ema.") and ".decoder." not in name
        },
        **load("tiny_funasr_head.safetensors"),
    }


@pytest.fixture(scope="session")
def generated_corpus(tmp_path_factory):
    """Folder of a small generated corpus: 4 speakers, 48 clips, 1-2 s each."""
    from speechbrain_e2v.corpora.synthetic.corpus import write_corpus

    folder = tmp_path_factory.mktemp("generated_corpus")
    write_corpus(
        folder, speakers=4, utterances_per_speaker=12, seconds=(1.0, 2.0)
    )
    return folder
