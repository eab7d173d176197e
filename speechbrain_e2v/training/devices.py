"""Which device to compute on."""

import torch


def usable_device(name: str | None = None) -> torch.device:
    """Check a device (``cpu``, ``cuda:1``, ...) before work starts.

    None is a GPU where there is one. ValueError names the devices there are.

    >>> usable_device("cpu")
    device(type='cpu')
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise ValueError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); "
            f"there are {', '.join(['cpu', *gpus])}"
        ) from error
    return device
