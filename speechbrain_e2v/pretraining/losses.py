"""Frame loss and utterance loss of emotion2vec (paper section 3.3)."""

import torch

from speechbrain_e2v.pretraining.masking import MaskLayout

UTTERANCE_LOSSES = ("token", "chunk", "global")


def frame_loss(
    prediction: torch.Tensor,
    target: torch.Tensor,
    real: torch.Tensor | None = None,
) -> torch.Tensor:
    """Squared error of predicted frames [R, M, D], summed over D and scaled.

    Paper equation 8 up to a factor: the released code divides the sum over D
    by sqrt(D), not by the number of elements. Returns [R, M], fp32, 0 where
    `real` [R, M] is False (fillers).

    >>> frame_loss(torch.zeros(1, 1, 4), torch.ones(1, 1, 4)).item()
    2.0
    """
    loss = _squared_error(prediction, target)
    return loss if real is None else loss * real


def utterance_prediction(
    tokens: torch.Tensor,
    visible: torch.Tensor,
    visible_real: torch.Tensor | None = None,
    kind: str = "chunk",
) -> torch.Tensor:
    """Pool the student's utterance vector, [R, D] (paper equations 5 to 7).

    "token": the last of the extra tokens [R, N, D]; "chunk": mean of all of
    them; "global": mean of the visible frames [R, V, D], no tokens needed. A
    ValueError names an unknown kind and one that needs absent tokens.

    >>> tokens = torch.arange(6.0).view(1, 3, 2)
    >>> utterance_prediction(tokens, tokens).tolist()
    [[2.0, 3.0]]
    """
    if kind not in UTTERANCE_LOSSES:
        raise ValueError(
            f"utterance_loss is {kind!r}: choose one of {UTTERANCE_LOSSES}."
        )
    if kind == "global":
        if visible_real is None:
            return visible.mean(1)
        weight = visible_real.to(visible.dtype).unsqueeze(2)
        return (visible * weight).sum(1) / weight.sum(1)
    if tokens.shape[1] == 0:
        raise ValueError(
            f"utterance_loss {kind!r} needs extra tokens: set "
            "num_extra_tokens above 0 or use 'global'."
        )
    return tokens[:, -1] if kind == "token" else tokens.mean(1)


def utterance_loss(
    prediction: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Squared error of every clone's utterance vector, [B * K].

    Paper equation 9 up to a factor, scaled as in `frame_loss`. Predictions are
    [B * K, D], targets [B, D]: clones share theirs. How rows are reduced is
    left to the caller: their mean is the paper's loss, their sum the released
    code's.
    """
    clones = len(prediction) // len(target)
    return _squared_error(prediction, target.repeat_interleave(clones, 0))


def _squared_error(
    prediction: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    error = prediction.float() - target.float()
    return error.square().sum(-1) / target.shape[-1] ** 0.5


def masked_targets(targets: torch.Tensor, layout: MaskLayout) -> torch.Tensor:
    """Targets [B, T, D] of every clone's masked frames, [B * K, M, D].

    >>> from speechbrain_e2v.pretraining.masking import mask_layout
    >>> layout = mask_layout(torch.tensor([[[True, False], [False, True]]]))
    >>> masked_targets(torch.tensor([[[1.0], [2.0]]]), layout).flatten()
    tensor([1., 2.])
    """
    row = torch.arange(len(layout.masked), device=targets.device)
    return targets[(row // layout.clones).unsqueeze(1), layout.masked]
