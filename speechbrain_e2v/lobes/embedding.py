"""From a waveform to one vector per utterance, and from it to classes.

SpeechBrain's ``EncoderClassifier`` calls an embedding model and then a
classifier that sees nothing but the embedding. The released probe looks at
frames before it averages, so the mean of the encoder's frames is not enough
for it: its hidden layer is averaged too and appended to the embedding.
"""

import torch
from torch import nn

from speechbrain_e2v.lobes.batching import (
    Layer,
    checked_layer,
    choose_layers,
    normalise_padded,
)
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, relative_to_samples
from speechbrain_e2v.lobes.pooling import masked_mean
from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder


class UtteranceNormalisation(nn.Module):
    """`normalise_padded` as SpeechBrain calls it."""

    def forward(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Map [B, S] to [B, S]; `lengths` [B] is relative to S."""
        return normalise_padded(wav, lengths)


class UtteranceEmbedding(nn.Module):
    """Encoder, mean over frames, and the frame layer of a probe.

    `layer` is what `lobes.batching` knows; of "weighted" the weights are the
    softmax of a parameter. `hidden` is the width H of the probe's frame layer;
    0: the head has none.

    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> model = UtteranceEmbedding(encoder, hidden=16).eval()
    >>> model(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 64])
    """

    def __init__(
        self, encoder: WaveformEncoder, layer: Layer = -1, hidden: int = 0
    ):
        super().__init__()
        self.encoder = encoder
        self.layer = checked_layer(layer, encoder.num_layers)
        self.hidden = hidden
        self.width = encoder.embed_dim
        """Numbers of the mean over frames, which come first."""
        if self.layer == "all":
            self.width *= encoder.num_layers
        if self.layer == "weighted":
            self.layer_weights = nn.Parameter(torch.zeros(encoder.num_layers))
        if hidden:
            self.frame_layer = nn.Linear(self.width, hidden)

    def forward(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Embed normalised waveforms [B, S], relative `lengths` [B].

        Gives [B, 1, D + H]: the mean over the encoder's frames (of "all" the
        layers one after the other), then that over the probe's hidden layer.

        Raises ValueError when an utterance is shorter than one frame.
        """
        samples = relative_to_samples(lengths, wav.shape[1])
        short = samples < MIN_SAMPLES
        if short.any():
            row = int(short.nonzero()[0])
            raise ValueError(
                f"utterance {row} of the batch has {int(samples[row])} samples,"
                f" too few for one frame: pad it with zeros to {MIN_SAMPLES} "
                "samples (25 ms at 16 kHz) or leave it out."
            )
        return self.pooled(wav, lengths)

    def pooled(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Embed without a check that depends on values, for export."""
        num_frames = self.encoder.num_frames(
            relative_to_samples(lengths, wav.shape[1])
        )
        weights = None
        if self.layer == "weighted":
            weights = self.layer_weights.softmax(dim=0)
        frames = choose_layers(
            self.encoder.states(wav, lengths),
            self.layer,
            self.encoder.num_layers,
            weights,
        )
        if self.layer == "all":
            frames = frames.transpose(1, 2).flatten(2)  # [B, T, L * D]
        embedding = masked_mean(frames, num_frames)
        if self.hidden:
            active = self.frame_layer(frames).relu()  # [B, T, H]
            active = masked_mean(active, num_frames)
            embedding = torch.cat([embedding, active], dim=1)
        return embedding.unsqueeze(1)


class EmbeddingClassifier(nn.Module):
    """What a head does behind the mean, on what `UtteranceEmbedding` gives.

    It reads the embedding's last `input_dim` numbers: the H of a probe with a
    frame layer, the D of a head on the mean. With `hidden` there are a linear
    layer of that width and a ReLU before the last one. The logits are divided
    by `temperature`, which validation data give.

    Raises ValueError when the temperature is not positive.

    >>> classifier = EmbeddingClassifier(input_dim=16, n_classes=4)
    >>> classifier(torch.randn(2, 1, 64)).exp().sum(2).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        input_dim: int,
        n_classes: int,
        temperature: float = 1.0,
        hidden: int = 0,
    ):
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f"temperature is {temperature}; it must be positive, 1 leaves "
                "the probabilities as they are."
            )
        self.input_dim = input_dim
        self.temperature = temperature
        self.hidden = hidden
        if hidden:
            self.hidden_layer = nn.Linear(input_dim, hidden)
        self.output_layer = nn.Linear(hidden or input_dim, n_classes)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Map embeddings [B, 1, E] to log posteriors [B, 1, C]."""
        x = embedding[..., -self.input_dim :]
        if self.hidden:
            x = self.hidden_layer(x).relu()
        logits = self.output_layer(x)
        return (logits / self.temperature).log_softmax(dim=-1)
