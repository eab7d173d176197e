"""Other sets of classes made of a classifier's own: merged, restricted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from speechbrain_e2v.inference.trained import ClassLabel


@dataclass(frozen=True)
class LabelView:
    """Classes as a user wants to see them.

    `names` are those of the corpus and of SpeechBrain's own class; `groups`
    has the outputs of the classifier that are added up for each, `published`
    their published strings.

    >>> from speechbrain_e2v.inference.trained import corpus_labels
    >>> labels = corpus_labels(["anger", "happiness", "excited", "sadness"])
    >>> view = label_view(labels, merge={"happy": ["happy", "excited"]},
    ...                   only=["happy", "sad"])
    >>> view.names, view.published
    (('happy', 'sadness'), ('happiness + excited', 'sadness'))
    >>> p = torch.tensor([[0.5, 0.1, 0.2, 0.2]])
    >>> view.probabilities(p.log()).round(decimals=2).tolist()
    [[0.6..., 0.4...]]
    """

    names: tuple[str, ...]
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
    index = _index(labels)

    def find(name: str) -> int:
        if name not in index:
            raise ValueError(
                f"merge: there is no class {name!r}; there are "
                f"{', '.join(label.text for label in labels)}."
            )
        return index[name]

    groups: dict[int, tuple[str, tuple[int, ...]]] = {}  # by first output
    taken: dict[int, str] = {}
    for name, members in (merge or {}).items():
        outputs = [find(member) for member in members]
        for output in outputs:
            if output in taken:
                raise ValueError(
                    f"merge: {labels[output].text!r} is part of both "
                    f"{taken[output]!r} and {name!r}."
                )
            taken[output] = name
        if not outputs:
            raise ValueError(f"merge: {name!r} is made of no class.")
        if index.get(name, outputs[0]) not in outputs:
            raise ValueError(
                f"merge: {name!r} is also a class of its own; add it to the "
                "classes that are merged, or give the new class another name."
            )
        groups[min(outputs)] = (name, tuple(sorted(outputs)))
    for output, label in enumerate(labels):
        if output not in taken:
            groups[output] = (label.text, (output,))
    rows = [
        (name, " + ".join(labels[i].published for i in outputs), outputs)
        for _, (name, outputs) in sorted(groups.items())
    ]
    if only is not None:
        rows = _kept(rows, only, labels)
    shown, published, outputs_of = zip(*rows, strict=True)
    return LabelView(shown, published, outputs_of)


def _index(labels: Sequence[ClassLabel]) -> dict[str, int]:
    """Output of every name; where two classes share one, its own text wins."""
    index = {label.id: i for i, label in enumerate(labels)}
    index |= {label.published: i for i, label in enumerate(labels)}
    return index | {label.text: i for i, label in enumerate(labels)}


def _kept(
    rows: list[tuple[str, str, tuple[int, ...]]],
    only: Sequence[str],
    labels: Sequence[ClassLabel],
) -> list[tuple[str, str, tuple[int, ...]]]:
    if not only:
        raise ValueError("labels: give at least one class to keep.")
    # A class that was not merged keeps all its names.
    single = {row[2][0]: row for row in rows if len(row[2]) == 1}
    by_name = {
        name: single[output]
        for name, output in _index(labels).items()
        if output in single
    }
    by_name |= {row[0]: row for row in rows}
    missing = [name for name in only if name not in by_name]
    if missing:
        raise ValueError(
            f"labels: there is no class {missing[0]!r}; there are "
            f"{', '.join(row[0] for row in rows)}."
        )
    kept = [by_name[name] for name in only]
    return [row for row in rows if row in kept]
