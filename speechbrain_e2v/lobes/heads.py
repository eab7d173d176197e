"""Classifiers on frozen features.

``FrameMLPHead`` is the head of emotion2vec's released downstream code (paper
section 4.3: two linear layers with a ReLU between, hidden width 256): the
first layer sees every frame, the second the mean over frames. ``LinearHead``
is a single layer on that mean.

Each head takes frames padded (``head(features, num_frames)``) or packed
(``head.packed(frames, num_frames)``); the logits are equal.
"""

from torch import nn

from speechbrain_e2v.lobes.pooling import masked_mean, packed_mean


class FrameMLPHead(nn.Module):
    """Linear, ReLU, mean over frames, Linear.

    Arguments
    ---------
    input_dim : int
        Width D of the features.
    n_classes : int
        Number of classes C.
    hidden : int
        Width between the layers.

    Example
    -------
    >>> import torch
    >>> head = FrameMLPHead(input_dim=768, n_classes=4)
    >>> head(torch.randn(2, 49, 768), torch.tensor([49, 30])).shape
    torch.Size([2, 4])
    >>> sum(p.numel() for p in head.parameters())
    197892
    """

    def __init__(self, input_dim, n_classes, hidden=256):
        super().__init__()
        self.frame_layer = nn.Linear(input_dim, hidden)
        self.output_layer = nn.Linear(hidden, n_classes)

    def forward(self, features, num_frames=None):
        """Logits of a padded batch.

        Arguments
        ---------
        features : torch.Tensor
            [B, T, D].
        num_frames : torch.Tensor or None
            Real frames of each utterance [B]; ``None``: all T.

        Returns
        -------
        torch.Tensor
            Logits [B, C].
        """
        hidden = self.frame_layer(features).relu()  # [B, T, hidden]
        return self.output_layer(masked_mean(hidden, num_frames))

    def packed(self, frames, num_frames):
        """Logits of a packed batch.

        Arguments
        ---------
        frames : torch.Tensor
            [sum of T, D].
        num_frames : torch.Tensor
            Frames of each utterance [B].

        Returns
        -------
        torch.Tensor
            Logits [B, C].
        """
        hidden = self.frame_layer(frames).relu()
        return self.output_layer(packed_mean(hidden, num_frames))


class LinearHead(nn.Module):
    """Mean over frames, then one linear layer.

    Arguments
    ---------
    input_dim : int
        Width D of the features.
    n_classes : int
        Number of classes C.

    Example
    -------
    >>> import torch
    >>> LinearHead(input_dim=8, n_classes=3)(torch.randn(2, 5, 8)).shape
    torch.Size([2, 3])
    """

    def __init__(self, input_dim, n_classes):
        super().__init__()
        self.output_layer = nn.Linear(input_dim, n_classes)

    def forward(self, features, num_frames=None):
        """Logits [B, C] of padded features [B, T, D]."""
        return self.output_layer(masked_mean(features, num_frames))

    def packed(self, frames, num_frames):
        """Logits [B, C] of packed frames [sum of T, D]."""
        return self.output_layer(packed_mean(frames, num_frames))
