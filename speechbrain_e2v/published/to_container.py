"""Configs of published files as plain dictionaries, whatever wrote them.

A config may be a dictionary, an argparse Namespace, an omegaconf tree or a
dataclass of fairseq; the last three arrive as StandIn. Also fairseq's way of
writing convolutions as a Python expression is read here, without running it.
"""

import ast
import operator

from speechbrain_e2v.published.pickle_names import Name, StandIn

_MAX_DEPTH = 40
_MAX_LAYERS = 100


def plain(value, depth=0):
    """Turn a config read from a pickle into plain data.

    Arguments
    ---------
    value : object
        What `unpickle` returned.
    depth : int
        How deep we are already.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Things without a plain form become their name.

    Raises
    ------
    ValueError
        When it is nested more deeply than any config.

    Example
    -------
    >>> node = StandIn("omegaconf.nodes.AnyNode", state={"_val": 768})
    >>> tree = {"_metadata": None, "_content": {"embed_dim": node}}
    >>> plain(StandIn("omegaconf.dictconfig.DictConfig", state=tree))
    {'embed_dim': 768}
    """
    if depth > _MAX_DEPTH:
        raise ValueError(
            f"the config in the file is nested more than {_MAX_DEPTH} levels "
            "deep: this is no published checkpoint."
        )
    if isinstance(value, StandIn):
        return _plain_stand_in(value, depth)
    if isinstance(value, Name):
        return value.full
    if isinstance(value, dict):
        return {
            str(key): plain(item, depth + 1)
            for key, item in value.items()
            if isinstance(key, (str, int))
        }
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return f"<{type(value).__name__}>"


def _plain_stand_in(value, depth):
    state = value.state
    if isinstance(state, dict):
        for key in ("_content", "_val"):  # omegaconf's containers and leaves
            if key in state:
                return plain(state[key], depth + 1)
        return plain(state, depth + 1)
    if len(value.args) == 1 and isinstance(value.args[0], (str, int)):
        return value.args[0]  # an enum's value
    return f"<{value.name}>"


def read_convolutions(text):
    """Read ``[(512, 10, 5)] + [(512, 3, 2)] * 4`` without running it.

    Arguments
    ---------
    text : str
        Lists of (channels, kernel, stride), joined by ``+`` and ``*``.

    Returns
    -------
    list of tuple of int

    Raises
    ------
    ValueError
        When it is anything else.

    Example
    -------
    >>> read_convolutions("[(32, 10, 5)] + [(32, 3, 2)] * 2")
    [(32, 10, 5), (32, 3, 2), (32, 3, 2)]
    """
    try:
        layers = _evaluate(ast.parse(text.strip(), mode="eval").body)
        if all(len(layer) == 3 for layer in layers):
            return [tuple(map(operator.index, layer)) for layer in layers]
    except (SyntaxError, TypeError, RecursionError, MemoryError):
        pass
    raise ValueError(
        f"the config's list of convolutions cannot be read: {text[:200]!r}; "
        "expected like [(512, 10, 5)] + [(512, 3, 2)] * 4"
    )


def _evaluate(node):
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_evaluate(item) for item in node.elts]
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left), _evaluate(node.right)
        if isinstance(node.op, ast.Add) and isinstance(left, list):
            return left + right
        if isinstance(node.op, ast.Mult):
            count, layers = sorted((left, right), key=lambda v: type(v) is list)
            if type(count) is int and 0 <= count <= _MAX_LAYERS:
                return layers * count
    raise TypeError("not a list of convolutions")
