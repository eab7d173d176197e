"""Classification head of the emotion2vec+ files, and its labels.

The head is one linear layer on the mean over frames. Its labels come from
``tokens.txt``: Chinese and English joined by a slash, and ``unuse...`` for
outputs that were never trained, which must not get probability.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import linear

from speechbrain_e2v.files.documents import BadDocument, read_json
from speechbrain_e2v.files.foreign_text import demand_plain_text

NINE_TOKENS = (
    "生气/angry",
    "厌恶/disgusted",
    "恐惧/fearful",
    "开心/happy",
    "中立/neutral",
    "其他/other",
    "难过/sad",
    "吃惊/surprised",
    "<unk>",
)
"""Order of the published emotion2vec+ outputs."""

_MAX_TOKENS_BYTES = 2**20
_WAY_OUT = "get the file from where the weights are from"
_SPELLINGS = {
    "angry": "angry anger 生气 愤怒",
    "disgusted": "disgusted disgust 厌恶",
    "fearful": "fearful fear 恐惧 害怕",
    "happy": "happy happiness 开心 高兴",
    "neutral": "neutral 中立 中性",
    "other": "other others 其他",
    "sad": "sad sadness 难过 悲伤",
    "surprised": "surprised surprise 吃惊 惊讶",
    "unknown": "unknown unk <unk> 未知",
}
_STABLE = {
    word: name for name, words in _SPELLINGS.items() for word in words.split()
}


@dataclass(frozen=True)
class Label:
    """A class of a published head: stable English id, and as published."""

    id: str
    published: str
    used: bool = True  # False for outputs that were never trained


@dataclass(frozen=True, eq=False)
class PublishedHead:
    """Linear layer [C, D] on the mean over frames.

    >>> head = PublishedHead(
    ...     torch.zeros(9, 4), torch.zeros(9), read_labels(NINE_TOKENS))
    >>> head.probabilities(torch.randn(2, 4)).sum(1)
    tensor([1., 1.])
    """

    weight: torch.Tensor
    bias: torch.Tensor
    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        classes = len(self.labels)
        if (len(self.weight), *self.bias.shape) != (classes, classes):
            raise ValueError(
                f"the head has {len(self.weight)} outputs, but there are "
                f"{classes} labels."
            )

    @property
    def ids(self) -> list[str]:
        """Stable ids of the outputs, in order."""
        return [label.id for label in self.labels]

    def logits(self, pooled: torch.Tensor) -> torch.Tensor:
        """Map means over frames [B, D] to logits [B, C]; unused ones -inf."""
        logits = linear(pooled, self.weight, self.bias)
        unused = [not label.used for label in self.labels]
        mask = torch.tensor(unused, device=logits.device)
        return logits.masked_fill(mask, float("-inf"))

    def probabilities(self, pooled: torch.Tensor) -> torch.Tensor:
        """Map means over frames [B, D] to probabilities [B, C]."""
        return self.logits(pooled).softmax(-1)


def read_labels(
    tokens: Sequence[str], origin: object = "tokens.txt"
) -> tuple[Label, ...]:
    """Give the lines of ``tokens.txt`` stable English ids.

    ValueError when two outputs would have one.

    >>> [label.id for label in read_labels(["生气/angry", "unuse_1", "<unk>"])]
    ['angry', 'unuse_1', 'unknown']
    """
    labels = []
    for index, token in enumerate(tokens):
        used = not token.startswith("unuse")
        name = _stable_id(token) if used else f"unuse_{index}"
        labels.append(Label(name, token, used))
    counts = Counter(label.id for label in labels)
    double = sorted(name for name, count in counts.items() if count > 1)
    if double:
        raise ValueError(f"{origin} has several lines for {double[:5]}.")
    return tuple(labels)


def _stable_id(token: str) -> str:
    parts = [part.strip().lower() for part in token.split("/")]
    for part in parts:
        if part in _STABLE:
            return _STABLE[part]
    english = [part for part in parts if part.isascii() and part]
    name = (english or parts)[-1]
    return re.sub(r"\W+", "_", name).strip("_") or token


def read_tokens(path: str | Path) -> tuple[Label, ...]:
    """Read ``tokens.txt`` (or a json list): one label a line."""
    path = Path(path)
    if path.suffix == ".json":
        tokens = read_json(path, list[str], _MAX_TOKENS_BYTES, _WAY_OUT)
    else:
        tokens = _lines(path)
    demand_plain_text(tokens, path)
    return read_labels(tokens, path)


def _lines(path: Path) -> list[str]:
    problem = ""
    if not path.is_file():
        problem = "no regular file"
    elif path.stat().st_size > _MAX_TOKENS_BYTES:
        problem = f"more than {_MAX_TOKENS_BYTES} bytes"
    else:
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            problem = str(error)
    if problem:
        raise BadDocument(f"{path}: {problem}: {_WAY_OUT}.")
    return [line.strip() for line in text.splitlines() if line]
