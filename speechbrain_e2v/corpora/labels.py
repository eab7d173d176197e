"""Class names to indices, in an order that never depends on the data."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task in fixed order.

    Arguments
    ---------
    classes : tuple of str
        ``classes[i]`` is the class with index ``i``.
    merges : mapping of str to str or None
        Labels that count as another class (``{"exc": "hap"}``); ``None``
        leaves their utterances out.

    Raises
    ------
    ValueError
        For repeated classes, or merges into something that is no class.

    Example
    -------
    >>> labels = LabelSet(("ang", "hap"), {"exc": "hap", "xxx": None})
    >>> labels.index("exc")
    1
    """

    classes: tuple[str, ...]
    merges: Mapping[str, str | None] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(self.classes))
        twice = [c for c, n in Counter(self.classes).items() if n > 1]
        if twice or not self.classes:
            raise ValueError(
                f"the classes must be at least one, each once: {self.classes}"
            )
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

    def resolve(self, label):
        """The class of a label, ``None`` when it is to be left out.

        Raises
        ------
        KeyError
            When the label is neither a class nor merged.
        """
        return label if label in self.classes else self.merges[label]

    def index(self, label):
        """Index of the class of a label."""
        return self.classes.index(self.resolve(label))

    def apply(self, utterances):
        """Merge labels and leave out utterances that are merged into None.

        Arguments
        ---------
        utterances : iterable of Utterance
            Labelled utterances.

        Returns
        -------
        list of Utterance
            ``emo`` is one of ``classes``.

        Raises
        ------
        ValueError
            Naming every label that is not known, with an utterance and file.
        """
        kept, unknown = [], {}
        for utterance in utterances:
            try:
                target = self.resolve(utterance.emo)
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

    def encode(self, utterances):
        """Class indices of utterances that :meth:`apply` returned.

        Returns
        -------
        list of int
            One index per utterance.

        Example
        -------
        >>> from speechbrain_e2v.corpora.manifest import Utterance
        >>> rows = [Utterance("a", "a.wav", emo="sad")]
        >>> LabelSet(("ang", "sad")).encode(rows)
        [1]
        """
        indices = {name: i for i, name in enumerate(self.classes)}
        for utterance in utterances:
            if utterance.emo not in indices:
                raise ValueError(
                    f"{utterance.id} ({utterance.wav}): {utterance.emo!r} is "
                    f"not one of {self.classes}; call apply first"
                )
        return [indices[utterance.emo] for utterance in utterances]
