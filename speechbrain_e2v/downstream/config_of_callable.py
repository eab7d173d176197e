"""What a yaml's ``!name:`` builds, for ``results.json``."""


def described(factory):
    """Name and bound arguments of a class or function.

    Arguments
    ---------
    factory : callable
        Perhaps a ``functools.partial``.

    Returns
    -------
    dict

    Example
    -------
    >>> import functools, torch
    >>> described(functools.partial(torch.optim.Adam, lr=1e-4))
    {'name': 'Adam', 'lr': 0.0001}
    """
    arguments = getattr(factory, "keywords", {})
    function = getattr(factory, "func", factory)
    return {"name": function.__qualname__, **arguments}
