"""Scaling and clipping of accumulated gradients, all groups together."""

import torch


def scale_and_clip(gradients, scale, max_norm):
    """Multiply gradients, then shorten them to a common largest norm.

    One pass for the norm and one for the product, both without reading
    anything on the host. Norms of single tensors are computed first and then
    combined, so no copy of all gradients is made.

    Arguments
    ---------
    gradients : list of torch.Tensor
        Changed in place. Unusable when the norm is not finite.
    scale : torch.Tensor or float
        Factor before clipping.
    max_norm : float
        Positive; infinity for no clipping.

    Returns
    -------
    torch.Tensor, []
        Norm after scaling and before clipping.

    Example
    -------
    >>> matrix, bias = torch.full((2, 2), 3.0), torch.full((1,), 8.0)
    >>> scale_and_clip([matrix, bias], scale=0.5, max_norm=1.0).item()
    5.0
    >>> round((matrix.norm() ** 2 + bias.norm() ** 2).item(), 3)
    1.0
    """
    norm = torch.nn.utils.get_total_norm(gradients) * scale
    # The small constant is torch's own in clip_grad_norm_.
    shorten = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    torch._foreach_mul_(gradients, shorten * scale)
    return norm
