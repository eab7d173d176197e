"""Class names to indices, in an order that never depends on the data."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from speechbrain_e2v.corpora.label_tables import check_class_name
from speechbrain_e2v.corpora.utterance import Utterance


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task in fixed order.

    ``classes[i]`` is the class with index ``i``. ``merges`` holds labels that
    count as another class, or are left out (``None``). Repeated classes and
    merges into something that is no class raise ValueError.

    >>> labels = LabelSet(("ang", "hap"), {"exc": "hap", "xxx": None})
    >>> labels.index("exc")
    1
    """

    classes: tuple[str, ...]
    merges: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))
        twice = [c for c, n in Counter(self.classes).items() if n > 1]
        if twice or not self.classes:
            raise ValueError(
                f"the classes must be at least one, each once: {self.classes}"
            )
        for name in self.classes:
            check_class_name(name)
        for label, target in self.merges.items():
            if target is not None and target not in self.classes:
                raise ValueError(
                    f"{label!r} is merged into {target!r}, which is not one "
                    f"of {self.classes}"
                )
            if label in self.classes and target != label:
                raise ValueError(
                    f"{label!r} is a class and is merged into {target!r}; "
                    "remove one of the two"
                )

    def resolve(self, label: str) -> str | None:
        """The class of a label, ``None`` when it is to be left out.

        Raises KeyError when the label is neither a class nor merged.
        """
        return label if label in self.classes else self.merges[label]

    def index(self, label: str) -> int:
        """Index of the class of a label; KeyError when it has none."""
        target = self.resolve(label)
        if target is None:
            raise KeyError(label)
        return self.classes.index(target)

    def apply(self, utterances: Iterable[Utterance]) -> list[Utterance]:
        """Merge labels and leave out utterances that are merged into None.

        Raises ValueError naming every label that is not known, with an
        utterance and file.
        """
        kept = []
        unknown: dict[str | None, list[Utterance]] = {}
        for utterance in utterances:
            try:
                target = self.resolve(utterance.emo)  # type: ignore[arg-type]
            except KeyError:
                unknown.setdefault(utterance.emo, []).append(utterance)
                continue
            if target is not None:
                kept.append(replace(utterance, emo=target))
        if unknown:
            lines = [
                f"  {label!r}: {len(found)} utterances, such as "
                f"{found[0].id} ({found[0].wav})"
                for label, found in sorted(unknown.items(), key=str)
            ]
            raise ValueError(
                f"labels that are none of {self.classes} and are not merged; "
                "add them to the classes or to the merges (None leaves them "
                "out):\n" + "\n".join(lines)
            )
        return kept

    def encode(self, utterances: Sequence[Utterance]) -> list[int]:
        """Class indices of utterances that :meth:`apply` returned.

        >>> rows = [Utterance("a", "a.wav", emo="sad")]
        >>> LabelSet(("ang", "sad")).encode(rows)
        [1]
        """
        indices = {name: i for i, name in enumerate(self.classes)}
        encoded = []
        for utterance in utterances:
            if utterance.emo is None or utterance.emo not in indices:
                raise ValueError(
                    f"{utterance.id} ({utterance.wav}): {utterance.emo!r} is "
                    f"not one of {self.classes}; call apply first"
                )
            encoded.append(indices[utterance.emo])
        return encoded
