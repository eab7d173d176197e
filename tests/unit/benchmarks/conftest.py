"""The scripts of benchmarks/ as modules; they import each other by name."""

import importlib
import sys

import pytest


@pytest.fixture(scope="session")
def script(repository):
    """Importer of one script: ``script("timing")``."""
    sys.path.insert(0, str(repository / "benchmarks"))
    yield importlib.import_module
    sys.path.remove(str(repository / "benchmarks"))
