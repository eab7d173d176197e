"""Which of the encoder's layers a user gets."""

NAMED = ("last", "all", "mean_last_4")


def checked_layer(layer, num_layers):
    """Check a choice of layers before work starts.

    Arguments
    ---------
    layer : str or int
        "last", "all", "mean_last_4", or the index of a block, prenet blocks
        first; negative ones count from the end.
    num_layers : int

    Returns
    -------
    str or int
        The same; an index is made positive.

    Raises
    ------
    ValueError

    Example
    -------
    >>> checked_layer(-2, 12), checked_layer("all", 12)
    (10, 'all')
    """
    if isinstance(layer, int) and not isinstance(layer, bool):
        if -num_layers <= layer < num_layers:
            return layer % num_layers
        raise ValueError(
            f"layer is {layer}, but the encoder has {num_layers}: use 0 to "
            f"{num_layers - 1}, or one of {NAMED}"
        )
    if layer not in NAMED:
        raise ValueError(
            f"layer is {layer!r}: use 0 to {num_layers - 1}, or one of {NAMED}"
        )
    if layer == "mean_last_4" and num_layers < 4:
        raise ValueError(
            f"layer is 'mean_last_4', but the encoder has {num_layers} "
            "layers: use 'all' and average them yourself"
        )
    return layer


def choose_layers(states, layer, num_layers):
    """Combine block outputs as they come; none is kept that is not wanted.

    Arguments
    ---------
    states : iterator of torch.Tensor, [B, ...]
        Output of block after block. Not read further than needed.
    layer : str or int
        As `checked_layer` returned it.
    num_layers : int

    Returns
    -------
    torch.Tensor
        [B, ...]; [B, L, ...] for "all".

    Example
    -------
    >>> import torch
    >>> states = [torch.full((1, 2), float(i)) for i in range(6)]
    >>> choose_layers(iter(states), "mean_last_4", 6).tolist()
    [[3.5, 3.5]]
    """
    chosen = None
    for index, state in enumerate(states):
        if layer == "all":
            if chosen is None:
                shape = (len(state), num_layers, *state.shape[1:])
                chosen = state.new_empty(shape)
            chosen[:, index] = state
        elif layer == "mean_last_4":
            if index == num_layers - 4:
                chosen = state / 4
            elif index > num_layers - 4:
                chosen = chosen + state / 4
        else:
            chosen = state
            if index == layer:
                break
    return chosen
