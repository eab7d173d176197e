"""What a recipe says about its corpus, and how it compares with the files."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechbrain_e2v.corpora.label_tables import check_class_name, read_text
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.files.download import Download

COUNTED = ("utts", "speakers", "hours", "per_class", "per_split")
_HOURS_TOLERANCE = 0.01
Difference = tuple[str, Any, Any]  # what, expected, found


@dataclass(frozen=True)
class Corpus:
    """A corpus: its classes, its counts, and how to list its utterances.

    >>> corpus = Corpus("Toy", "en", ("ang",), {"A": "ang"}, {"utts": 2})
    >>> compare(corpus.expected, {"utts": 1, "hours": 1.0})
    [('utts', 2, 1)]
    """

    name: str
    lang: str  # code
    classes: tuple[str, ...]  # the index is the label
    # The corpus's own label to class; None leaves the utterance out.
    label_map: Mapping[str, str | None]
    # COUNTED as found in the real corpus; what is absent is not compared.
    expected: Mapping[str, Any] = field(default_factory=dict)
    # The same as printed in Table 1 of the paper; only reported.
    paper_table1: Mapping[str, Any] = field(default_factory=dict)
    # Utterance id to the reason why it is left out.
    known_bad: Mapping[str, str] = field(default_factory=dict)
    # Utterances of a data folder with emo_raw (empty when unlabelled), from
    # names and label files; it never opens audio.
    parse: Callable[[Path], Iterable[Utterance]] = lambda data_folder: ()
    # Patterns of files whose digests go into the meta file.
    label_files: tuple[str, ...] = ()
    # Of the label files the counts are from, by file name; only reported.
    label_sha256: Mapping[str, str] = field(default_factory=dict)
    # The same corpus as another table lists it, wherever that lies.
    listed_by: "Callable[[Path], Corpus] | None" = None
    # Pieces must end with their audio, as far as it was the user who cut.
    strict_pieces: bool = False
    # Ids or paths that the user leaves out; they count as there.
    excluded: frozenset[str] = frozenset()
    # Classes of a data folder, for a corpus that is the user's own.
    read_labels: Callable[[Path], tuple[str, ...]] | None = None
    # Zip files at an origin that allows unattended download.
    downloads: tuple[Download, ...] = ()
    # Keep what label_map leaves out, without a class: context of others.
    keep_others: bool = False
    # The same corpus for the next turn's emotion, with every label.
    conversation: "Corpus | None" = None
    # Samples of that task by class, as published; only reported.
    published_samples: Mapping[str, int] = field(default_factory=dict)
    # expected, where it depends on which label file is in the data folder.
    read_expected: Callable[[Path], Mapping[str, Any]] | None = None
    # Lowest and highest rating of the keys of extra that can be predicted.
    scales: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    # The same corpus for regression: every rated utterance, with scales.
    rated: "Corpus | None" = None
    # The same corpus for classification, where this one is for pre-training.
    labelled: "Corpus | None" = None

    def __post_init__(self) -> None:
        targets = {name for name in self.label_map.values() if name is not None}
        strange = targets - set(self.classes)
        if strange:
            raise ValueError(
                f"{self.name}: label_map leads to {sorted(strange)}, which "
                f"are not in {self.classes}"
            )
        for name in self.classes:
            check_class_name(name)
        for name in ("expected", "paper_table1"):
            unknown = sorted(set(getattr(self, name)) - set(COUNTED))
            if unknown:
                raise ValueError(
                    f"{self.name}: {name} has {unknown}; known are {COUNTED}"
                )

    def bound_to(self, data_folder: str | Path) -> "Corpus":
        """The corpus with what the data folder says about it.

        These are the counts to expect, and the classes. A corpus with classes
        of its own also takes the folder's name: what an encoder has heard is
        looked up by name.

        >>> own = Corpus("Own", "", (), {}, read_labels=lambda _: ("a", "b"))
        >>> own.bound_to("data/calls").name, own.bound_to("calls").classes
        ('Own: calls', ('a', 'b'))
        """
        if self.read_expected is not None:
            expected = self.read_expected(Path(data_folder))
            return replace(self, expected=expected, read_expected=None)
        if self.read_labels is None:
            return self
        classes = tuple(self.read_labels(Path(data_folder)))
        return replace(
            self,
            name=f"{self.name}: {Path(data_folder).resolve().name}",
            classes=classes,
            label_map={name: name for name in classes},
            read_labels=None,
        )

    def as_asked(
        self,
        labels: str | Path | None = None,
        exclude: str | Path | None = None,
    ) -> "Corpus":
        """The corpus by another table, without what a list names.

        ``exclude`` is a text file with an id or a path below the data folder
        a line; ``#`` begins a comment.

        >>> path = getfixture("tmp_path") / "exclude.txt"
        >>> _ = path.write_text("03a01Fa  # is 03a02Fa again\\n")
        >>> Corpus("Toy", "", (), {}).as_asked(exclude=path).excluded
        frozenset({'03a01Fa'})
        """
        corpus = self
        if labels is not None:
            if self.listed_by is None:
                raise ValueError(
                    f"{self.name} has its own labels; leave out labels "
                    f"({labels})"
                )
            if not Path(labels).is_file():
                raise ValueError(f"labels: there is no file {labels}")
            corpus = self.listed_by(Path(labels))
        if exclude is None:
            return corpus
        lines = read_text(exclude).splitlines()
        named = (line.partition("#")[0].strip() for line in lines)
        return replace(corpus, excluded=frozenset(filter(None, named)))

    def class_of(self, utterance: Utterance) -> str | None:
        """The class of an utterance's raw label, ``None`` to leave it out.

        Raises ValueError when the label is unknown, or the parser says another
        class.
        """
        if utterance.emo_raw not in self.label_map:
            raise ValueError(
                f"{self.name}: {utterance.id} ({utterance.wav}) has the label "
                f"{utterance.emo_raw!r}; known are {sorted(self.label_map)}"
            )
        name = self.label_map[utterance.emo_raw]
        if utterance.emo is not None and utterance.emo != name:
            raise ValueError(
                f"{self.name}: {utterance.id} ({utterance.wav}) is "
                f"{utterance.emo!r} by its name and {name!r} by its label "
                f"{utterance.emo_raw!r}; correct one of them"
            )
        return name


def count(utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Counts of utterances, with the keys of ``Corpus.expected``.

    >>> count([Utterance("a", "a.wav", emo="sad", duration=36.0)])["hours"]
    0.01
    """
    splits = Counter(u.split for u in utterances if u.split is not None)
    classes = Counter(u.emo for u in utterances if u.emo is not None)
    return {
        "utts": len(utterances),
        "speakers": len({u.spk for u in utterances if u.spk}),
        "hours": round(sum(u.duration for u in utterances) / 3600, 6),
        "per_class": dict(sorted(classes.items())),
        "per_split": dict(sorted(splits.items())),
    }


def compare(
    expected: Mapping[str, Any], found: Mapping[str, Any]
) -> list[Difference]:
    """Counts that differ.

    Hours agree within one percent or half of the last printed digit of a
    two-digit figure, whichever is more.

    >>> compare({"per_class": {"sad": 3}}, {"per_class": {"sad": 2, "hap": 1}})
    [('class hap', 0, 1), ('class sad', 3, 2)]
    """
    rows: list[Difference] = []
    for key, value in expected.items():
        if key in ("per_class", "per_split"):
            kind = key.removeprefix("per_")
            for name in sorted(set(value) | set(found[key])):
                pair = value.get(name, 0), found[key].get(name, 0)
                if pair[0] != pair[1]:
                    rows.append((f"{kind} {name}", *pair))
        elif key == "hours":
            slack = max(_HOURS_TOLERANCE * value, 0.005)
            if abs(found[key] - value) > slack:
                rows.append((key, value, found[key]))
        elif found[key] != value:
            rows.append((key, value, found[key]))
    return rows


def difference_table(rows: Iterable[Sequence[Any]]) -> str:
    """The rows of :func:`compare` as text.

    >>> print(difference_table([("utts", 535, 534)]))
    what                       expected        found
    utts                            535          534
    """
    lines = [("what", "expected", "found"), *rows]
    return "\n".join(f"{a:<22} {b!s:>12} {c!s:>12}" for a, b, c in lines)
