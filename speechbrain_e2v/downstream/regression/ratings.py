"""Ratings of utterances: the continuous targets of a regression."""

_TOLERANCE = 0.5
"""How far a rating may lie outside its scale: IEMOCAP has 0.5 and 5.5 on a
scale of 1 to 5. Further out, the files are not what they seem."""


def ratings_of(utterances, scales):
    """Ratings of utterances, within their scales.

    Arguments
    ---------
    utterances : sequence of Utterance
        With ratings in ``extra``.
    scales : mapping of str to tuple of float
        Lowest and highest value of each rating.

    Returns
    -------
    dict of str to list of float
        Of each utterance id, in the order of ``scales``.
    int
        How many ratings lay outside and were set to the end of the scale.

    Raises
    ------
    ValueError
        Naming an utterance without a rating, or with one that is no number or
        more than half a unit outside.

    Example
    -------
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> row = Utterance("a", "a.wav", extra={"arousal": 5.5, "valence": 2.0})
    >>> ratings_of([row], {"arousal": (1, 5), "valence": (1, 5)})
    ({'a': [5.0, 2.0]}, 1)
    """
    ratings, outside = {}, 0
    for utterance in utterances:
        values = [_rating(utterance, name, scales[name]) for name in scales]
        inside = [
            min(max(value, float(low)), float(high))
            for value, (low, high) in zip(values, scales.values(), strict=True)
        ]
        outside += sum(a != b for a, b in zip(values, inside, strict=True))
        ratings[utterance.id] = inside
    return ratings, outside


def _rating(utterance, name, scale):
    value = utterance.extra.get(name)
    low, high = scale
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Written so that nan is refused, too.
    if not number or not low - _TOLERANCE <= value <= high + _TOLERANCE:
        raise ValueError(
            f"{utterance.id} ({utterance.wav}): {name} is {value!r}, on a "
            f"scale of {low:g} to {high:g}; correct its label file"
        )
    return float(value)
