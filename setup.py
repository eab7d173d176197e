#!/usr/bin/env python3
"""Installs the package ``speechbrain_e2v`` and the command ``e2v``.

The lower bounds below are what the code needs; ``requirements.txt`` pins the
set that is tested. ``torch`` and ``torchaudio`` have to come from the same
index in matching versions, since ``import speechbrain`` imports torchaudio.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
VERSION = re.search(
    r'^__version__ = "([^"]+)"',
    (HERE / "speechbrain_e2v" / "__init__.py").read_text(encoding="utf-8"),
    flags=re.MULTILINE,
).group(1)

setup(
    name="speechbrain_e2v",
    version=VERSION,
    description="emotion2vec as a collection of SpeechBrain recipes",
    long_description=(
        README.read_text(encoding="utf-8") if README.exists() else ""
    ),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["speechbrain_e2v", "speechbrain_e2v.*"]),
    package_data={"": ["*.yaml", "*.json", "*.csv", "*.md", "py.typed"]},
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.7.1",
        "torchaudio>=2.7.1",
        "speechbrain>=1.1.2,<1.2",
        "hyperpyyaml>=1.2.3",
        "sentencepiece>=0.2.0",
        "numpy>=1.26",
        "scikit-learn>=1.4",
        "scipy>=1.15",
        "soundfile>=0.12",
        "safetensors>=0.4.3",
        "huggingface_hub>=0.23",
        "pyyaml>=6.0",
        "msgspec>=0.19",
        "tqdm>=4.60",
        "matplotlib>=3.8",
    ],
    extras_require={
        "test": [
            "pytest>=8.1",
            "pytest-xdist>=3.6",
            "onnx>=1.16",
            "onnxruntime>=1.18",
            "onnxscript>=0.2",
            "omegaconf>=2.3",
            "opensmile>=2.6",
            "transformers>=4.56",
            "soxr>=0.3",
        ],
        "egemaps": ["opensmile>=2.6"],
        "timnet": ["soxr>=0.3"],
        "hf": ["transformers>=4.56"],
        "viz": ["umap-learn>=0.5.5"],
        "onnx": ["onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.2"],
        "compare": ["transformers>=4.45"],
        "text": ["transformers>=4.45"],
        "demo": ["gradio>=4.44"],
        "bench": ["funasr>=1.2"],
    },
    entry_points={"console_scripts": ["e2v = speechbrain_e2v.cli:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Multimedia :: Sound/Audio :: Speech",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
