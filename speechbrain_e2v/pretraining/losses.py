"""Frame loss and utterance loss of emotion2vec (paper section 3.3)."""

import torch

UTTERANCE_LOSSES = ("token", "chunk", "global")


def frame_loss(prediction, target, real=None):
    """Squared error of predicted frames, summed over D and scaled.

    Paper equation 8 up to a factor: the released code divides the sum over D
    by sqrt(D), not by the number of elements.

    Arguments
    ---------
    prediction, target : torch.Tensor, [R, M, D]
    real : torch.Tensor, [R, M], bool, optional
        False at fillers.

    Returns
    -------
    torch.Tensor, [R, M]
        Loss of every masked frame, fp32, 0 at fillers.

    Example
    -------
    >>> loss = frame_loss(torch.zeros(1, 1, 4), torch.ones(1, 1, 4))
    >>> loss.item()
    2.0
    """
    loss = _squared_error(prediction, target)
    return loss if real is None else loss * real


def utterance_prediction(tokens, visible, visible_real=None, kind="chunk"):
    """Pool the student's utterance vector (paper equations 5 to 7).

    Arguments
    ---------
    tokens : torch.Tensor, [R, N, D]
        Encoder output at the extra tokens.
    visible : torch.Tensor, [R, V, D]
        Encoder output at visible frames.
    visible_real : torch.Tensor, [R, V], bool, optional
    kind : str
        "token": the last extra token; "chunk": mean of all extra tokens;
        "global": mean of the visible frames, no tokens needed.

    Returns
    -------
    torch.Tensor, [R, D]

    Raises
    ------
    ValueError
        When `kind` is unknown, or needs tokens the encoder does not have.

    Example
    -------
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


def utterance_loss(prediction, target):
    """Squared error of the utterance vector of every clone.

    Paper equation 9 up to a factor, scaled as in `frame_loss`. How rows are
    reduced is left to the caller: their mean is the paper's loss, their sum
    the released code's.

    Arguments
    ---------
    prediction : torch.Tensor, [B * K, D]
    target : torch.Tensor, [B, D]
        Every clone of an utterance has the same target.

    Returns
    -------
    torch.Tensor, [B * K]

    Example
    -------
    >>> utterance_loss(torch.ones(2, 4), torch.zeros(1, 4)).tolist()
    [2.0, 2.0]
    """
    clones = len(prediction) // len(target)
    return _squared_error(prediction, target.repeat_interleave(clones, 0))


def _squared_error(prediction, target):
    error = prediction.float() - target.float()
    return error.square().sum(-1) / target.shape[-1] ** 0.5


def masked_targets(targets, layout):
    """Pick the targets of every clone's masked frames.

    Arguments
    ---------
    targets : torch.Tensor, [B, T, D]
    layout : masking.MaskLayout

    Returns
    -------
    torch.Tensor, [B * K, M, D]

    Example
    -------
    >>> from speechbrain_e2v.pretraining.masking import mask_layout
    >>> layout = mask_layout(torch.tensor([[[True, False], [False, True]]]))
    >>> masked_targets(torch.tensor([[[1.0], [2.0]]]), layout).flatten()
    tensor([1., 2.])
    """
    row = torch.arange(len(layout.masked), device=targets.device)
    return targets[(row // layout.clones).unsqueeze(1), layout.masked]
