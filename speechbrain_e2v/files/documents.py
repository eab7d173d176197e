"""JSON and YAML that others wrote: read by a schema, within bounds.

msgspec checks a document against a type: built-in ones such as
``dict[str, list[float]]``, or a `msgspec.Struct`, whose fields are the keys and
which may bound them (``Annotated[int, msgspec.Meta(ge=1, le=4096)]``).
"""

import math
import re
import stat
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from speechbrain_e2v.files.foreign_text import shown

MAX_DEPTH = 64
MAX_BYTES = 64 * 2**20
MAX_YAML_BYTES = 2**20

T = TypeVar("T")


class BadDocument(ValueError):
    """A document is not what it should be: one line with file and key."""


def read_json(
    path: str | Path,
    kind: type[T],
    max_bytes: int = MAX_BYTES,
    way_out: str = "restore the file or write it anew",
) -> T:
    """Read a JSON file as a value of a type.

    A BadDocument names file and key, and ends in `way_out`; OSError: there is
    no such file, or it may not be read.

    >>> path = getfixture("tmp_path") / "classifier.json"
    >>> _ = path.write_text('{"labels": ["angry", 7]}')
    >>> read_json(path, dict[str, list[str | int]])
    {'labels': ['angry', 7]}
    >>> class Labels(msgspec.Struct):
    ...     labels: list[str]
    >>> read_json(path, Labels)
    Traceback (most recent call last):
    ...
    speechbrain_e2v.files.documents.BadDocument: ...classifier.json: labels[1]:
    expected `str`, got `int`: restore the file or write it anew.
    """
    data = _bytes(Path(path), max_bytes, way_out)
    try:
        return msgspec.json.decode(data.decode("utf-8"), type=kind)
    except ValueError as error:  # also msgspec's and UTF-8's
        raise _bad(path, error, way_out) from None
    except RecursionError:
        raise _bad(path, "nested too deeply", way_out) from None


def read_yaml(
    path: str | Path,
    kind: type[T],
    max_bytes: int = MAX_YAML_BYTES,
    way_out: str = "restore the file or write it anew",
) -> T:
    """Read a YAML file of plain values as a value of a type; see `read_json`.

    Tags, aliases, repeated keys, NaN and infinity are refused.

    >>> path = getfixture("tmp_path") / "encoder.yaml"
    >>> _ = path.write_text("embed_dim: 768\\neps: 1e-5\\n")
    >>> read_yaml(path, dict[str, float])
    {'embed_dim': 768.0, 'eps': 1e-05}
    """
    data = _bytes(Path(path), max_bytes, way_out)
    try:
        text = data.decode("utf-8")
        _check_events(text)
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
        return msgspec.convert(value, type=kind)
    except yaml.YAMLError as error:
        raise _bad(path, _yaml_problem(error), way_out) from None
    except ValueError as error:  # also msgspec's and UTF-8's
        raise _bad(path, error, way_out) from None
    except RecursionError:
        raise _bad(path, "nested too deeply", way_out) from None


def _bytes(path: Path, max_bytes: int, way_out: str) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _bad(path, "no regular file", way_out)  # a pipe never ends
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        problem = f"{status.st_size} bytes, where {max_bytes} are the most"
        raise _bad(path, problem, way_out)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _bad(path, "UTF-16, where UTF-8 is read", way_out)
    return data.removeprefix(b"\xef\xbb\xbf")


class _Loader(yaml.CSafeLoader):
    """Plain values only; 1e-5 is a number, as in YAML 1.2."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False):
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | bool):
                raise BadDocument(f"{key!r} is no key")
            if key in mapping:
                raise BadDocument(f"{key!r} is there twice")
            mapping[key] = self.construct_object(value_node, deep=deep)
        return mapping

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise BadDocument(f"{node.value} is no finite number")
        return value


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _check_events(text: str) -> None:
    # Before anything is built: a few aliases can stand for billions of nodes.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise BadDocument(f"the alias *{event.anchor} is not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadDocument(f"nested deeper than {MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f"line {mark.line + 1}: " if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    return place + " ".join(problem.split())


_AT_KEY = re.compile(r"(?P<problem>.*) - at `(?P<where>.*?)\$\.?(?P<key>.*)`")


def _bad(path: str | Path, problem: object, way_out: str) -> BadDocument:
    text = str(problem)
    if found := _AT_KEY.fullmatch(text):
        text = found["problem"]
    if text[1:2].islower():
        text = text[0].lower() + text[1:]
    if found and (key := found["where"] + found["key"]):
        text = f"{key}: {text}"
    return BadDocument(f"{path}: {shown(text, 300)}: {way_out}.")
