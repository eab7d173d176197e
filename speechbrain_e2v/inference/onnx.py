"""One ONNX file: waveforms and lengths in, posteriors and embedding out."""

import copy
import importlib.util
import json
import logging
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from speechbrain_e2v.files.atomic import replaced_file
from speechbrain_e2v.inference.trained import TrainedClassifier
from speechbrain_e2v.lobes.frontend import (
    ConvFeatureExtractor,
    ConvLayer,
    normalise_waveform,
)
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

_NEEDED = ("onnx", "onnxruntime", "onnxscript")
_TOLERANCE = 1e-4
_CHECKED = ((1, 4000), (3, 16000), (2, 23456))  # utterances, samples


class PlainConvolutions(nn.Module):
    """The encoder's front end, equal to it, as ordinary convolutions.

    Runtimes have fast kernels for those, and none for windows of frames.

    >>> from speechbrain_e2v.lobes.frontend import ConvFeatureExtractor
    >>> frontend = ConvFeatureExtractor(channels=16)
    >>> wav = torch.randn(2, 16000)
    >>> plain = PlainConvolutions(frontend)(wav)
    >>> torch.allclose(plain, frontend(wav), atol=1e-5)
    True
    """

    def __init__(self, frontend: ConvFeatureExtractor) -> None:
        super().__init__()
        self.layers = frontend.layers

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        """Map a normalised waveform [B, S] to frames [B, T, C]."""
        x = wav.unsqueeze(1)
        for layer in self.layers:
            assert isinstance(layer, ConvLayer)
            x = F.conv1d(x, layer.weight, stride=layer.stride)
            x = F.gelu(layer.norm(x.transpose(1, 2))).transpose(1, 2)
        return x.transpose(1, 2)


class WholeClassifier(nn.Module):
    """Normalisation, encoder, pooling and head as one graph."""

    def __init__(self, trained: TrainedClassifier) -> None:
        super().__init__()
        self.embedding = copy.deepcopy(trained.embedding).cpu()
        self.classifier = copy.deepcopy(trained.classifier).cpu()
        encoder = self.embedding.encoder
        plain = PlainConvolutions(encoder.frontend)
        encoder.frontend = plain  # type: ignore[assignment]  # in its place
        self.width = self.embedding.width

    def forward(
        self, waveform: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Map [B, S] at 16 kHz to posteriors [B, C] and mean frames [B, D].

        `lengths` [B], int64, are samples, 400 or more; what lies behind them
        is ignored.
        """
        wav = normalise_waveform(waveform, lengths)
        relative = lengths.double() / waveform.shape[1]
        embedding = self.embedding.pooled(wav, relative)
        posteriors = self.classifier(embedding).squeeze(1).exp()
        return posteriors, embedding[:, 0, : self.width]


def export_onnx(
    trained: TrainedClassifier, path: str | Path, opset: int = 18
) -> float:
    """Write an ONNX file; return the largest difference from PyTorch.

    Batch and length are dynamic; the graph keeps a whole attention bias, so
    its memory grows with the square of the length: cut long recordings. The
    metadata have ``labels``, ``published_labels``, ``sample_rate``,
    ``min_samples``. ValueError, and no file, when a package of the extra is
    missing or the difference is too large.
    """
    missing = [n for n in _NEEDED if importlib.util.find_spec(n) is None]
    if missing:
        raise ValueError(
            f"ONNX export needs {' and '.join(missing)}: install the extra "
            "with pip install 'speechbrain_e2v[onnx]'."
        )
    path = Path(path)
    program = _program(WholeClassifier(trained).eval(), opset)
    program.model.metadata_props.update(_metadata(trained))
    with replaced_file(path) as unfinished:
        program.save(str(unfinished), external_data=False)
        difference = onnx_difference(trained, unfinished)
        if difference > _TOLERANCE:
            raise ValueError(
                f"the ONNX graph differs from PyTorch by {difference:.2g}, "
                f"more than {_TOLERANCE:g}: try other versions of onnx and "
                "onnxruntime."
            )
    return difference


def _program(model: nn.Module, opset: int) -> torch.onnx.ONNXProgram:
    batch = torch.randn(2, 16000), torch.tensor([16000, 9000])
    dynamic = torch.export.Dim.DYNAMIC
    exporter_log = logging.getLogger("torch.onnx")
    level = exporter_log.level
    exporter_log.setLevel(logging.ERROR)  # it reports what is not installed
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                model,
                batch,
                dynamo=True,
                dynamic_shapes={
                    "waveform": {0: dynamic, 1: dynamic},
                    "lengths": {0: dynamic},
                },
                input_names=["waveform", "lengths"],
                output_names=["posteriors", "embedding"],
                opset_version=opset,
                verbose=False,
            )
    finally:
        exporter_log.setLevel(level)
    assert program is not None  # None is of the exporter before dynamo
    return program


def _metadata(trained: TrainedClassifier) -> dict[str, str]:
    def as_json(values: Iterable[str]) -> str:
        return json.dumps(list(values), ensure_ascii=False)

    return {
        "labels": as_json(label.text for label in trained.labels),
        "published_labels": as_json(x.published for x in trained.labels),
        "sample_rate": str(SAMPLE_RATE),
        "min_samples": str(MIN_SAMPLES),
        "lengths": "samples, int64",
        "temperature": repr(trained.classifier.temperature),
    }


def onnx_difference(trained: TrainedClassifier, path: str | Path) -> float:
    """Largest difference of posteriors and embeddings on padded batches."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for rows, size in _CHECKED:
        wav = torch.randn(rows, size, generator=generator)
        lengths = torch.tensor([size - 3001 * row for row in range(rows)])
        for row, length in enumerate(lengths):
            wav[row, length:] = 0.0
        found = session.run(
            None, {"waveform": wav.numpy(), "lengths": lengths.numpy()}
        )
        log_posteriors, embedding = trained.log_posteriors(
            [row[:length] for row, length in zip(wav, lengths, strict=True)]
        )
        for ours, theirs in (
            (log_posteriors.exp(), found[0]),
            (embedding, found[1]),
        ):
            gap = (ours.cpu() - torch.from_numpy(theirs)).abs().max()
            worst = max(worst, float(gap))
    return worst
