"""From frames to one vector per utterance.

Two layouts of the same frames: *padded*, ``[B, T, D]`` with frame counts, as
an encoder gives them, and *packed*, ``[sum of T, D]``, one utterance after the
other with no padding, as a feature store gives them. Both poolings give the
same mean; neither adds noise (SpeechBrain's ``StatisticsPooling`` does).
"""

import torch


def masked_mean(
    x: torch.Tensor, num_frames: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over the real frames of each utterance of a padded batch.

    From frames [B, T, D] and their numbers [B] (None: all T) to [B, D]. What
    lies behind an utterance's end is ignored, whatever it is. ValueError: other
    shapes.

    >>> x = torch.tensor([[[1.0], [3.0], [9.0]]])
    >>> masked_mean(x, torch.tensor([2])).tolist()
    [[2.0]]
    """
    if x.dim() != 3:
        raise ValueError(
            f"`x` must be frames [B, T, D], but its shape is {tuple(x.shape)}"
        )
    if num_frames is None:
        return x.mean(dim=1)
    if num_frames.shape != x.shape[:1]:
        raise ValueError(
            f"`num_frames` must be [{x.shape[0]}], one per utterance, but its "
            f"shape is {tuple(num_frames.shape)}"
        )
    positions = torch.arange(x.shape[1], device=x.device)
    padding = positions >= num_frames.to(x.device).unsqueeze(1)  # [B, T]
    # Filled, not multiplied by zero: padding may hold inf or nan.
    total = x.masked_fill(padding.unsqueeze(2), 0.0).sum(dim=1)
    return total / num_frames.to(x).clamp(min=1).unsqueeze(1)


def packed_mean(frames: torch.Tensor, num_frames: torch.Tensor) -> torch.Tensor:
    """Mean over the frames of each utterance of a packed batch.

    From all frames [sum of T, D] and their numbers [B] to [B, D]. ValueError:
    the numbers do not add up.

    >>> frames = torch.tensor([[1.0], [3.0], [9.0]])
    >>> packed_mean(frames, torch.tensor([2, 1])).tolist()
    [[2.0], [9.0]]
    """
    if int(num_frames.sum()) != frames.shape[0]:
        raise ValueError(
            f"`num_frames` adds up to {int(num_frames.sum())}, but there are "
            f"{frames.shape[0]} frames"
        )
    owner = torch.repeat_interleave(
        torch.arange(len(num_frames), device=frames.device),
        num_frames.to(frames.device),
        output_size=frames.shape[0],
    )
    total = frames.new_zeros(len(num_frames), frames.shape[1])
    total = total.index_add(0, owner, frames)
    return total / num_frames.to(frames).clamp(min=1).unsqueeze(1)
