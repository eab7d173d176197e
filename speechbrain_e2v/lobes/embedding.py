"""From a waveform to one vector per utterance, and from it to classes.

SpeechBrain's ``EncoderClassifier`` calls an embedding model and then a
classifier that sees nothing but the embedding. The released probe looks at
frames before it averages, so the mean of the encoder's frames is not enough
for it: its hidden layer is averaged too and appended to the embedding.
"""

import torch
from torch import nn

from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, relative_to_samples
from speechbrain_e2v.lobes.pooling import masked_mean


class UtteranceNormalisation(nn.Module):
    """`normalise_waveform` with relative lengths, as SpeechBrain calls it.

    Example
    -------
    >>> wav = torch.tensor([[1.0, 3.0, 9.0, 9.0]])
    >>> normalise = UtteranceNormalisation()
    >>> normalise(wav, torch.tensor([0.5])).round(decimals=3).tolist()
    [[-1.0, 1.0, 0.0, 0.0]]
    """

    def forward(self, wav, lengths):
        """Map [B, S] to [B, S]; `lengths` [B] is relative to S."""
        return normalise_waveform(
            wav, relative_to_samples(lengths, wav.shape[1])
        )


class UtteranceEmbedding(nn.Module):
    """Encoder, mean over frames, and the frame layer of a probe.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
    layer : int
        Block whose output is taken, prenet blocks first; -1 is the last.
    hidden : int
        Width H of the probe's frame layer; 0: the head has none.

    Example
    -------
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> model = UtteranceEmbedding(encoder, hidden=16).eval()
    >>> model(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 1, 64])
    """

    def __init__(self, encoder, layer=-1, hidden=0):
        super().__init__()
        if not -encoder.num_layers <= layer < encoder.num_layers:
            raise ValueError(
                f"layer is {layer}, but the encoder has {encoder.num_layers}: "
                f"use 0 to {encoder.num_layers - 1}, or -1 for the last."
            )
        self.encoder = encoder
        self.layer = layer % encoder.num_layers
        self.hidden = hidden
        if hidden:
            self.frame_layer = nn.Linear(encoder.embed_dim, hidden)

    def forward(self, wav, lengths):
        """Embed normalised waveforms; padding never matters.

        Arguments
        ---------
        wav : torch.Tensor, [B, S]
            16 kHz, normalised per utterance (`UtteranceNormalisation`).
        lengths : torch.Tensor, [B]
            Relative to S, SpeechBrain style.

        Returns
        -------
        torch.Tensor, [B, 1, D + H]
            First the mean over the encoder's frames [D], then the mean over
            the probe's hidden layer [H].

        Raises
        ------
        ValueError
            When an utterance is shorter than one frame.
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

    def pooled(self, wav, lengths):
        """Embed without a check that depends on values, for export."""
        samples = relative_to_samples(lengths, wav.shape[1])
        if self.layer == self.encoder.num_layers - 1:
            frames = self.encoder(wav, lengths)  # [B, T, D]
        else:
            frames = self.encoder.hidden_states(wav, lengths)[self.layer]
        num_frames = self.encoder.num_frames(samples)
        embedding = masked_mean(frames, num_frames)
        if self.hidden:
            active = self.frame_layer(frames).relu()  # [B, T, H]
            active = masked_mean(active, num_frames)
            embedding = torch.cat([embedding, active], dim=1)
        return embedding.unsqueeze(1)


class EmbeddingClassifier(nn.Module):
    """Last layer of a head on what `UtteranceEmbedding` returns.

    Arguments
    ---------
    input_dim : int
        How many of the embedding's last entries are read: H of a probe with
        a frame layer, D of a head on the mean.
    n_classes : int
    temperature : float
        Divides the logits; fitted on validation data.

    Raises
    ------
    ValueError
        When the temperature is not positive.

    Example
    -------
    >>> classifier = EmbeddingClassifier(input_dim=16, n_classes=4)
    >>> classifier(torch.randn(2, 1, 64)).exp().sum(2).shape
    torch.Size([2, 1])
    """

    def __init__(self, input_dim, n_classes, temperature=1.0):
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f"temperature is {temperature}; it must be positive, 1 leaves "
                "the probabilities as they are."
            )
        self.temperature = temperature
        self.output_layer = nn.Linear(input_dim, n_classes)

    def forward(self, embedding):
        """Map embeddings [B, 1, E] to log posteriors [B, 1, C]."""
        width = self.output_layer.in_features
        logits = self.output_layer(embedding[..., -width:])
        return (logits / self.temperature).log_softmax(dim=-1)
