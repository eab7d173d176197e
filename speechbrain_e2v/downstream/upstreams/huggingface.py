"""Encoders through HuggingFace transformers, each clip as if it were alone.

In a padded batch most of these let padding into a clip's features: group norm
over time (wav2vec 2.0, HuBERT and WavLM base) and convolved positions
(data2vec audio). Hence only clips of equal length are computed together;
Whisper's windows are all of one length, and what lies behind a clip is cut off.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import pad

from speechbrain_e2v.downstream.upstreams.layers import LayerChoice
from speechbrain_e2v.lobes.batching import Layer
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE, receptive_field
from speechbrain_e2v.published.encoder_folder import weights_digest

_TOGETHER = 8  # clips: a window of Whisper's is 30 s, whatever the clip has
_NOT_DECISIVE = {
    "architectures",
    "dtype",
    "name_or_path",
    "processor_class",
    "torch_dtype",
    "transformers_version",
}


class HuggingfaceEncoder:
    """Hidden states of a model, never trained.

    Layer 0 is what enters the first block, as transformers counts; so there
    is one more than blocks. The last one is as transformers gives it: of large
    models behind the final norm. `features` is the model's feature extractor.

    Raises ValueError for a layer that there is not, or another sample rate.
    """

    def __init__(
        self,
        model: Any,
        features: Any,
        layer: Layer = "last",
        device: str = "cpu",
        description: Mapping[str, Any] | None = None,
    ) -> None:
        if features.sampling_rate != SAMPLE_RATE:
            raise ValueError(
                f"the encoder takes {features.sampling_rate} Hz; here audio "
                f"has {SAMPLE_RATE} Hz"
            )
        if model.config.is_encoder_decoder:
            model = model.get_encoder()
        self._model = model.to(device).eval().requires_grad_(False)
        self._features = features
        self._device = device
        config = model.config
        self._choice = LayerChoice(layer, config.num_hidden_layers + 1)
        self.dim = config.hidden_size * self._choice.times
        # Whisper hears windows of so many samples.
        self._window: int | None = getattr(features, "n_samples", None)
        self._shortest = 1
        if hasattr(config, "conv_kernel"):
            self._shortest = receptive_field(
                config.conv_kernel, config.conv_stride
            )
        digest = weights_digest(model)
        self.description: dict[str, Any] = {
            **(description or {}),
            "architecture": type(model).__name__,
            "weights_sha256": digest,
            "layer": self._choice.said,
            "layers": self._choice.layers,
            "parameters": sum(p.numel() for p in model.parameters()),
            "preprocessing": self._preprocessing(),
            "batching": "clips of equal length only, never padded"
            if self._window is None
            else "windows of one length; what is behind a clip is cut off",
        }
        decisive = [
            digest,
            type(model).__name__,
            _settings(config),
            _settings(features),
            self._choice.read,
        ]
        text = json.dumps(decisive, sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    def _preprocessing(self) -> str:
        if self._window is not None:
            seconds = self._window / SAMPLE_RATE
            return f"16 kHz mono, log mel spectra of windows of {seconds:g} s"
        if getattr(self._features, "do_normalize", False):
            return "16 kHz mono, zero mean and unit variance per utterance"
        return "16 kHz mono, not normalised"

    @torch.no_grad()
    def extract(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames [T, D] of each waveform [S]; long ones in windows, if any.

        One without a single frame is filled up with zeros.
        """
        pieces = [
            (clip, piece)
            for clip, waveform in enumerate(waveforms)
            for piece in self._pieces(waveform)
        ]
        inputs = [self._input(piece) for _, piece in pieces]
        order = sorted(range(len(pieces)), key=lambda i: inputs[i].shape[-1])
        found: dict[int, torch.Tensor] = {}
        for _, group in groupby(order, lambda i: inputs[i].shape[-1]):
            equal = list(group)
            for first in range(0, len(equal), _TOGETHER):
                some = equal[first : first + _TOGETHER]
                rows = self._chosen(torch.stack([inputs[i] for i in some]))
                for i, row in zip(some, rows, strict=True):
                    found[i] = self._trimmed(row, len(pieces[i][1]))
        return [
            torch.cat(
                [found[i] for i, (c, _) in enumerate(pieces) if c == clip]
            )
            for clip in range(len(waveforms))
        ]

    @torch.no_grad()
    def padded(self, waveforms: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Frames as transformers pads a batch by itself: only to compare."""
        batch = self._features(
            [waveform.numpy() for waveform in waveforms],
            sampling_rate=SAMPLE_RATE,
            padding=True if self._window is None else "max_length",
            return_tensors="pt",
        )
        name = self._model.main_input_name
        mask = batch.get("attention_mask") if self._window is None else None
        return list(self._chosen(batch[name], mask))

    def _pieces(self, waveform: torch.Tensor) -> Iterator[torch.Tensor]:
        missing = max(0, self._shortest - len(waveform))
        yield from pad(waveform, (0, missing)).split(
            self._window or len(waveform) + missing
        )

    def _input(self, piece: torch.Tensor) -> torch.Tensor:
        """What the model takes of one clip: samples [S] or spectra [M, T]."""
        ready = self._features(
            piece.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt"
        )
        return ready[self._model.main_input_name][0]

    def _chosen(
        self, inputs: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Chosen layers [B, T, D] of inputs that are stacked."""
        given = {self._model.main_input_name: inputs.to(self._device)}
        if mask is not None:
            given["attention_mask"] = mask.to(self._device)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            states = self._model(**given, output_hidden_states=True)
        return self._choice(states.hidden_states)

    def _trimmed(self, frames: torch.Tensor, samples: int) -> torch.Tensor:
        if self._window is None:
            return frames.clone()
        hop = self._window // len(frames)
        return frames[: -(-samples // hop)].clone()


def _settings(of: Any) -> dict[str, Any]:
    """Settings of a model or feature extractor that decide its numbers."""
    return {
        key: value
        for key, value in json.loads(of.to_json_string()).items()
        if key not in _NOT_DECISIVE and not key.startswith("_")
    }


def huggingface_encoder(
    source: str | Path,
    name: str = "",
    revision: str | None = None,
    layer: Layer = "last",
    pretraining: Mapping[str, float | None] | None = None,
    local_files_only: bool = False,
    device: str = "cpu",
) -> HuggingfaceEncoder:
    """Load a hub id or a folder; `name` is what results call it.

    What was downloaded once is used ever after; another `revision` has to be
    asked for. `pretraining` are corpora and hours that the model heard.

    Raises ValueError, in one line, when it cannot be had or is none.
    """
    transformers = _transformers()
    revision = revision or "main"

    def load(only_here: bool) -> tuple[Any, Any]:
        where = {"revision": revision, "local_files_only": only_here}
        return (
            transformers.AutoFeatureExtractor.from_pretrained(source, **where),
            transformers.AutoModel.from_pretrained(
                source, dtype=torch.float32, **where
            ),
        )

    try:
        with torch.random.fork_rng(devices=[]):
            try:
                features, model = load(True)
            except OSError:
                if local_files_only or Path(source).exists():
                    raise
                features, model = load(False)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{source} cannot be loaded by transformers ({reason}). Connect "
            "and unset HF_HUB_OFFLINE, or download it elsewhere with `hf "
            "download` and give the folder: --source FOLDER"
        ) from error
    here = Path(source)
    named = here.resolve().name if here.exists() else str(source)
    card = {"name": name or named, "pretraining": dict(pretraining or {})}
    return HuggingfaceEncoder(
        model,
        features,
        layer,
        device,
        {
            "kind": "trained encoder",
            "source": named,
            "revision": getattr(model.config, "_commit_hash", None),
            "card": card,
        },
    )


def random_huggingface(
    model_type: str,
    sizes: Mapping[str, Any],
    do_normalize: bool = True,
    seed: int = 0,
    layer: Layer = "last",
    device: str = "cpu",
    description: Mapping[str, Any] | None = None,
) -> HuggingfaceEncoder:
    """Build an architecture of transformers with random weights.

    `model_type` and `sizes` are those of its config. Raises ValueError for a
    size that the config does not know.
    """
    transformers = _transformers()
    known = transformers.AutoConfig.for_model(model_type)
    for size in sizes:
        if not hasattr(known, size):
            raise ValueError(f"{model_type} has no size {size}")
    config = transformers.AutoConfig.for_model(model_type, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModel.from_config(config)
    if model_type == "whisper":
        # A frame of the encoder is two of the spectrum, of 10 ms each.
        features = transformers.WhisperFeatureExtractor(
            feature_size=config.num_mel_bins,
            chunk_length=config.max_source_positions // 50,
        )
    else:
        large = getattr(config, "feat_extract_norm", None) == "layer"
        features = transformers.Wav2Vec2FeatureExtractor(
            do_normalize=do_normalize,
            return_attention_mask=large,  # as published
        )
    return HuggingfaceEncoder(model, features, layer, device, description)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            "this upstream is computed by transformers: pip install "
            "'speechbrain_e2v[hf]'"
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
