"""What ``classifier.json`` must be, before anybody uses a word of it."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from speechbrain_e2v.files.documents import BadDocument, read_json
from speechbrain_e2v.files.foreign_text import demand_plain_text
from speechbrain_e2v.inference.trained import ClassLabel
from speechbrain_e2v.lobes.batching import checked_layer
from speechbrain_e2v.published.sizes import checked_sizes

_Width = Annotated[int, msgspec.Meta(ge=0, le=2**20)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Pair = Annotated[list[float], msgspec.Meta(min_length=2, max_length=2)]
_Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    id: _Name
    published: _Name
    text: _Name


class _Scores(msgspec.Struct):
    wa: float
    ua: float
    wf1: float


class _Spread(msgspec.Struct):
    mean: float
    sd: float


class _Spreads(msgspec.Struct):
    wa: _Spread
    ua: _Spread
    wf1: _Spread


class _Intervals(msgspec.Struct):
    wa: _Pair | None = None
    ua: _Pair | None = None
    wf1: _Pair | None = None


class _Protocol(msgspec.Struct):
    name: str
    description: str
    n_folds: int
    marks: list[str]


class _Versions(msgspec.Struct):
    speechbrain_e2v: str


class _Results(msgspec.Struct):
    corpus: _Name
    protocol: _Protocol
    pooled: _Scores
    fold_spread: _Spreads
    n_predictions: int
    versions: _Versions
    interval95: _Intervals | None = None
    commit: str | None = None


class _Selection(msgspec.Struct):
    valid_wa: float


class _Fold(msgspec.Struct):
    number: int
    name: str
    seed: int
    chosen: str
    n_train: int
    selection: _Selection
    test_scores: _Scores


class _Calibration(msgspec.Struct):
    temperature: float
    utterances: int
    data: str
    ece: _Pair
    nll: _Pair


class _Compared(msgspec.Struct):
    test_utterances: int
    largest_difference: float


class _Card(msgspec.Struct):
    name: str = ""
    origin: str = ""
    licence: str = ""
    licence_notice: str = ""
    weights_sha256: str = ""
    parameters: int | None = None
    pretraining: dict[str, float | None] | list[str] | None = None
    finetuning: dict[str, float | None] | list[str] | None = None


class _Digests(msgspec.Struct):
    embedding_model: str
    classifier: str


class _Description(msgspec.Struct):
    """What is read of it; other keys are free."""

    format: Literal[1, 2]
    layer: int | str | list[int]
    hidden: _Width
    input_dim: Annotated[int, msgspec.Meta(ge=1, le=2**20)]
    n_classes: _Count
    temperature: _Positive
    labels: Annotated[list[_Label], msgspec.Meta(min_length=1)]
    encoder: dict[str, Any]
    encoder_card: _Card
    width: _Width = 0
    classifier_hidden: _Width = 0
    kind: str = ""
    fold: _Fold | None = None
    results: _Results | None = None
    calibration: _Calibration | None = None
    compared: _Compared | None = None
    sha256: _Digests | None = None
    model_sha256: str | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != self.n_classes:
            raise ValueError(
                f"n_classes is {self.n_classes}, but there are "
                f"{len(self.labels)} labels"
            )
        for key in ("id", "text"):
            counts = Counter(getattr(label, key) for label in self.labels)
            name, count = counts.most_common(1)[0]
            if count > 1:
                raise ValueError(f"{count} labels have the {key} {name!r}")
        if self.results is not None and self.fold is None:
            raise ValueError("there are results, but no fold")


def read_description(path: Path, way_out: str) -> dict[str, Any]:
    """Read ``classifier.json``, every value that is used within its bounds.

    Raises BadDocument naming file and key; ValueError when no encoder has such
    sizes.
    """
    read_json(path, _Description, way_out=way_out)
    description = read_json(path, dict[str, Any], way_out=way_out)
    try:
        for row in description["labels"]:
            ClassLabel(**row)
    except ValueError as error:
        raise BadDocument(f"{path}: {error}") from None
    demand_plain_text(description, path)
    sizes = checked_sizes(description["encoder"], path)
    try:
        layers = sizes.get("prenet_depth", 0) + sizes["depth"]
        checked_layer(description["layer"], layers)
    except ValueError as error:
        raise BadDocument(f"{path}: {error}: {way_out}.") from None
    description["encoder"] = sizes
    return description
