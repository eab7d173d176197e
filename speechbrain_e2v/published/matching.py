"""Strict comparison of what a module needs with what a file has."""


def demand_match(expected, found, origin):
    """Demand the same names with the same shapes.

    Arguments
    ---------
    expected, found : dict of str to shape
    origin : str or Path
        Named in the error.

    Raises
    ------
    ValueError
        Listing what is missing, unexpected and mis-shaped.

    Example
    -------
    >>> demand_match({"a": (1,), "b": (2,)}, {"a": (3,)}, "x.pt")
    Traceback (most recent call last):
    ...
    ValueError: x.pt does not fit the encoder's sizes:
      missing b (2,)
      a is (3,), should be (1,)
    """
    expected = {name: tuple(shape) for name, shape in expected.items()}
    found = {name: tuple(shape) for name, shape in found.items()}
    problems = [
        f"missing {name} {shape}"
        for name, shape in expected.items()
        if name not in found
    ]
    problems += [
        f"unexpected {name} {shape}"
        for name, shape in found.items()
        if name not in expected
    ]
    problems += [
        f"{name} is {found[name]}, should be {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    if problems:
        listing = "\n  ".join(problems[:20])
        more = len(problems) - 20
        rest = f"\n  and {more} more" if more > 0 else ""
        raise ValueError(
            f"{origin} does not fit the encoder's sizes:\n  {listing}{rest}"
        )
