"""What turns waveforms into frozen features.

An upstream has ``digest`` (of all that its features depend on, the audio
excepted), ``dim``, ``description`` (for ``results.json``) and
``extract(list of waveforms [S]) -> list of [T, D]``. Here are the two with an
encoder; :mod:`speechbrain_e2v.downstream.mfcc` has one without.
"""

import hashlib
from pathlib import Path

import torch
import yaml
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained

_PREPROCESSING = "16 kHz mono, zero mean and unit variance per utterance"


class FrozenEncoder:
    """Block outputs of an encoder that is never trained.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
        Put into eval mode and moved to ``device``.
    layer : int or list of int
        Block whose output is taken, prenet blocks first; -1 is the last. Of
        several, the mean.
    device : str
        Where it runs.
    description : dict
        What ``results.json`` shall say about the encoder.

    Raises
    ------
    ValueError
        If there is no such layer.

    Example
    -------
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> upstream = FrozenEncoder(encoder, layer=-1)
    >>> waveforms = [torch.randn(16000), torch.randn(5000)]
    >>> [tuple(frames.shape) for frames in upstream.extract(waveforms)]
    [(49, 48), (15, 48)]
    """

    def __init__(self, encoder, layer=-1, device="cpu", description=None):
        layers = encoder.num_layers
        chosen = layer if isinstance(layer, (list, tuple)) else [layer]
        if not chosen or not all(-layers <= i < layers for i in chosen):
            raise ValueError(
                f"layer is {layer}, but the encoder has {layers}: use 0 to "
                f"{layers - 1}, or -1 for the last"
            )
        self.encoder = encoder.to(device).eval().requires_grad_(False)
        self.device = device
        self.dim = encoder.embed_dim
        self._layers = sorted({i % layers for i in chosen})
        layer = self._layers[0] if len(self._layers) == 1 else self._layers
        digest = weights_digest(encoder)
        self.description = {
            **(description or {}),
            "weights_sha256": digest,
            "layer": layer,
            "layers": layers,
            "preprocessing": _PREPROCESSING,
        }
        text = f"{digest}|{layer}|{_PREPROCESSING}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @torch.no_grad()
    def extract(self, waveforms):
        """Frames of each waveform, the same whatever it is batched with.

        Arguments
        ---------
        waveforms : list of torch.Tensor
            [S] each, 16 kHz. One without a single frame (under 400 samples)
            is filled up with zeros.

        Returns
        -------
        list of torch.Tensor
            [T, D] each.
        """
        waveforms = [
            pad(waveform, (0, max(0, MIN_SAMPLES - len(waveform))))
            for waveform in waveforms
        ]
        samples = torch.tensor([len(w) for w in waveforms], device=self.device)
        batch = pad_sequence(waveforms, batch_first=True).to(self.device)
        batch = normalise_waveform(batch, samples)  # [B, S]
        lengths = samples.double() / batch.shape[1]
        if self._layers == [self.encoder.num_layers - 1]:
            features = self.encoder(batch, lengths)  # [B, T, D]
        else:
            states = self.encoder.hidden_states(batch, lengths)
            features = sum(states[i] for i in self._layers) / len(self._layers)
        counts = self.encoder.num_frames(samples).tolist()
        return [
            frames[:count].cpu()
            for frames, count in zip(features, counts, strict=True)
        ]


def trained_encoder(source, layer=-1, device="cpu"):
    """Features of a trained encoder.

    Arguments
    ---------
    source : str or Path
        Encoder folder, published checkpoint or hub id: anything that
        `load_pretrained` accepts.
    layer : int or list of int
        Block whose output is taken, prenet blocks first; -1 is the last. Of
        several, the mean.
    device : str
        Where it runs.

    Returns
    -------
    FrozenEncoder

    Raises
    ------
    FileNotFoundError
        If there is no such thing.
    ValueError
        If it is no encoder, or damaged.
    """
    encoder, card = load_pretrained(source)
    path = Path(source)
    description = {
        "kind": "trained encoder",
        "source": path.resolve().name if path.exists() else str(source),
        "card": card,
    }
    return FrozenEncoder(encoder, layer, device, description)


def random_encoder(source, seed=0, layer=-1, device="cpu"):
    """Features of an encoder of the same architecture that learned nothing.

    Arguments
    ---------
    source : str or Path
        Encoder folder; only its ``encoder.yaml`` is read.
    seed : int
        Seed of the initialisation.
    layer : int or list of int
        Block whose output is taken, prenet blocks first; -1 is the last. Of
        several, the mean.
    device : str
        Where it runs.

    Returns
    -------
    FrozenEncoder

    Raises
    ------
    FileNotFoundError
        If ``source`` is not an encoder folder.
    """
    source = _encoder_folder(source)
    config = yaml.safe_load((source / "encoder.yaml").read_text("utf-8"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Emotion2vecEncoder(**config)
    description = {
        "kind": "encoder at random initialisation",
        "architecture_of": source.name,
        "seed": seed,
    }
    return FrozenEncoder(encoder, layer, device, description)


def _encoder_folder(source):
    source = Path(source)
    if not (source / "encoder.yaml").is_file():
        raise FileNotFoundError(
            f"encoder: {source} is not an encoder folder (there is no "
            f"{source / 'encoder.yaml'}); pre-training writes one: "
            "<its output_folder>/encoder"
        )
    return source.resolve()
