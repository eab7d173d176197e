"""Other sets of classes made of a classifier's own: merged, restricted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from speechbrain_e2v.inference.trained import ClassLabel


@dataclass(frozen=True)
class LabelView:
    """Classes as a user wants to see them.

    `groups` has the outputs of the classifier that are added up for each,
    `published` their published strings.

    >>> from speechbrain_e2v.inference.trained import corpus_labels
    >>> labels = corpus_labels(["anger", "happiness", "excited", "sadness"])
    >>> view = label_view(labels, merge={"happy": ["happy", "excited"]},
    ...                   only=["happy", "sad"])
    >>> view.ids, view.published
    (('happy', 'sad'), ('happiness + excited', 'sadness'))
    >>> p = torch.tensor([[0.5, 0.1, 0.2, 0.2]])
    >>> view.probabilities(p.log()).round(decimals=2).tolist()
    [[0.6..., 0.4...]]
    """

    ids: tuple[str, ...]
    published: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]

    def probabilities(self, log_posteriors: torch.Tensor) -> torch.Tensor:
        """Map log posteriors [..., C] to probabilities that add up to 1."""
        columns = [
            log_posteriors[..., list(group)].logsumexp(dim=-1)
            for group in self.groups
        ]
        return torch.stack(columns, dim=-1).softmax(dim=-1)


def label_view(
    labels: Sequence[ClassLabel],
    only: Sequence[str] | None = None,
    merge: Mapping[str, Sequence[str]] | None = None,
) -> LabelView:
    """Merge classes (new name to old names), then keep `only` some.

    Every name of a class may be used: its stable id, the published string,
    or SpeechBrain's label. A ValueError names a class that is not there, or
    used twice.
    """
    index = {}
    for i, label in enumerate(labels):
        for name in (label.published, label.text, label.id):
            index[name] = i

    def find(name: str) -> int:
        if name not in index:
            raise ValueError(
                f"merge: there is no class {name!r}; there are "
                f"{', '.join(label.id for label in labels)}."
            )
        return index[name]

    groups: dict[int, tuple[str, tuple[int, ...]]] = {}  # by first output
    taken: dict[int, str] = {}
    for name, members in (merge or {}).items():
        outputs = [find(member) for member in members]
        for output in outputs:
            if output in taken:
                raise ValueError(
                    f"merge: {labels[output].id!r} is part of both "
                    f"{taken[output]!r} and {name!r}."
                )
            taken[output] = name
        if not outputs:
            raise ValueError(f"merge: {name!r} is made of no class.")
        groups[min(outputs)] = (name, tuple(sorted(outputs)))
    for output, label in enumerate(labels):
        if output not in taken:
            groups[output] = (label.id, (output,))
    rows = [
        (name, " + ".join(labels[i].published for i in outputs), outputs)
        for _, (name, outputs) in sorted(groups.items())
    ]
    names = [row[0] for row in rows]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(
            f"merge: {double[0]!r} is also a class of its own; add it to the "
            "classes that are merged, or give the new class another name."
        )
    if only is not None:
        rows = _kept(rows, only, labels)
    ids, published, outputs_of = zip(*rows, strict=True)
    return LabelView(ids, published, outputs_of)


def _kept(rows, only, labels):
    by_name = {row[0]: row for row in rows}
    for row in rows:
        if len(row[2]) == 1:  # a class that was not merged keeps its names
            label = labels[row[2][0]]
            by_name |= {label.text: row, label.published: row}
    if not only:
        raise ValueError("labels: give at least one class to keep.")
    missing = [name for name in only if name not in by_name]
    if missing:
        raise ValueError(
            f"labels: there is no class {missing[0]!r}; there are "
            f"{', '.join(row[0] for row in rows)}."
        )
    kept = [by_name[name] for name in only]
    return [row for row in rows if row in kept]
