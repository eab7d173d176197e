"""Configs of published files as plain dictionaries, whatever wrote them:
an argparse Namespace, an omegaconf tree, a dataclass of fairseq, a dict."""

from typing import Any

import torch

from speechbrain_e2v.published.torch_file import StandIn

_MAX_DEPTH = 40
_MAX_VALUES = 100_000  # lists that share lists grow without end


def to_container(value: Any) -> Any:
    """Turn a config that `load_torch_file` read into plain data.

    Things without a plain form become their name in angle brackets. Raises
    ValueError when it is nested or grows as no config does.

    >>> node, tree = StandIn(), StandIn()
    >>> node.state = {"_val": 768}
    >>> tree.state = {"_metadata": None, "_content": {"embed_dim": node}}
    >>> to_container(tree)
    {'embed_dim': 768}
    """
    return _Conversion().plain(value, 0)


class _Conversion:
    def __init__(self) -> None:
        self.values = 0

    def plain(self, value: Any, depth: int) -> Any:
        self.values += 1
        if depth > _MAX_DEPTH or self.values > _MAX_VALUES:
            raise ValueError(
                f"the config in the file is nested more than {_MAX_DEPTH} "
                f"levels deep or has more than {_MAX_VALUES} values: this is "
                "no published checkpoint."
            )
        if isinstance(value, StandIn):
            return self.plain_stand_in(value, depth)
        if isinstance(value, type):
            return getattr(value, "name", value.__name__)
        if isinstance(value, dict):
            return {
                str(key): self.plain(item, depth + 1)
                for key, item in dict.items(value)
                if isinstance(key, (str, int))
            }
        if isinstance(value, (list, tuple)):
            return [self.plain(item, depth + 1) for item in value]
        if value is None or isinstance(value, (str, int, float, bool)):
            return value
        if isinstance(value, (torch.dtype, torch.device)):
            return str(value)
        return f"<{type(value).__name__}>"

    def plain_stand_in(self, value: StandIn, depth: int) -> Any:
        if isinstance(value.state, dict):
            for key in ("_content", "_val"):  # omegaconf's trees and leaves
                if key in value.state:
                    return self.plain(value.state[key], depth + 1)
            return self.plain(value.state, depth + 1)
        if len(value.args) == 1 and isinstance(value.args[0], (str, int)):
            return value.args[0]  # an enum's value
        return f"<{value.name}>"
