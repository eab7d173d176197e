"""Fixtures for all tests.

``shared_folder`` and ``golden`` reach material that stands beside a checkout
and is no part of it: tests that ask for them are skipped where it is absent.
``generated_corpus`` needs nothing.
"""

from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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
def golden(shared_folder):
    """Loader of reference vectors: ``golden("masks.npz")["some/name"]``.

    ``.npz`` gives a dict of arrays, ``.safetensors`` a dict of tensors,
    ``.json`` the decoded value; a name without suffix means ``.npz``.
    """

    def load(name):
        path = shared_folder / "golden" / name
        if not path.suffix:
            path = path.with_suffix(".npz")
        if not path.is_file():
            pytest.skip(f"no ../shared/golden/{path.name}")
        if path.suffix == ".json":
            import json

            return json.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}

    return load


@pytest.fixture(scope="session")
def generated_corpus(tmp_path_factory):
    """Folder of a small generated corpus: 4 speakers, 48 clips, 1-2 s each."""
    from speechbrain_e2v.corpora.synthetic.corpus import write_corpus

    folder = tmp_path_factory.mktemp("generated_corpus")
    write_corpus(
        folder, speakers=4, utterances_per_speaker=12, seconds=(1.0, 2.0)
    )
    return folder
