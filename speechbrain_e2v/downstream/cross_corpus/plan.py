"""Which corpora train, which is tested, and with how much of its own.

No speaker who is tested ever trains or validates: inside a corpus whole
speakers are held out; what a tested corpus gives away to training (its shots)
comes from speakers of other blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from speechbrain_e2v.corpora.group_splits import group_kfold, groups_of
from speechbrain_e2v.corpora.protocols import Fold, make_folds
from speechbrain_e2v.corpora.splits import shuffled
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.labelled_corpus import LabelledCorpus

OTHERS = "all others"
_PROTOCOL = "speaker_kfold"


@dataclass(frozen=True)
class Domain:
    """A corpus with common classes; ids and speakers have its name in front.

    ``listed`` are the ids of all its utterances, of other classes too.
    """

    name: str
    utterances: tuple[Utterance, ...]
    listed: tuple[str, ...]
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(groups_of(self.utterances, "spk")) < 3:
            raise ValueError(
                f"{self.name}: whole speakers train, validate and test, so "
                "three or more are needed; leave this corpus out"
            )


@dataclass(frozen=True)
class Cell:
    """One experiment: its training, by name, the corpus tested, the folds.

    ``shots`` are utterances a class of the corpus tested that train, too.
    """

    train: str
    test: str
    shots: int
    folds: tuple[Fold, ...]

    @property
    def protocol(self) -> str:
        """As ``results.json`` calls it."""
        if self.train == self.test:
            return f"within, {_PROTOCOL}"
        shots = f" + {self.shots} a class" if self.shots else ""
        return f"from {self.train}{shots}"

    @property
    def row(self) -> str:
        """Its row in a table with a column a corpus tested."""
        shots = f" + {self.shots} a class" if self.shots else ""
        return f"{self.train}{shots}"


def domains(
    corpora: Sequence[LabelledCorpus],
    ids: Mapping[str, Mapping[tuple[str, str], str | None]],
) -> tuple[list[Domain], list[str]]:
    """Corpora with the classes that all of them have, and these classes.

    ``ids`` gives for each corpus the common id of (data set, class).

    Raises ValueError for fewer than two such classes.
    """
    found = [
        {common for common in ids[c.name].values() if common} for c in corpora
    ]
    shared = set.intersection(*found)
    if len(shared) < 2:
        each = "; ".join(
            f"{c.name}: {', '.join(sorted(names))}"
            for c, names in zip(corpora, found, strict=True)
        )
        raise ValueError(
            f"the corpora share {len(shared)} classes, two are needed ({each});"
            " leave corpora out, or give a table of labels (--label_map)"
        )
    return [_domain(c, ids[c.name], shared) for c in corpora], sorted(shared)


def _domain(
    corpus: LabelledCorpus,
    ids: Mapping[tuple[str, str], str | None],
    shared: set[str],
) -> Domain:
    common = {u.id: ids[u.dataset, str(u.emo)] for u in corpus.utterances}
    kept = tuple(
        replace(
            u,
            id=f"{corpus.name}/{u.id}",
            spk=f"{corpus.name}/{u.spk}" if u.spk else "",
            emo=common[u.id],
        )
        for u in corpus.utterances
        if common[u.id] in shared
    )
    left_out = len(corpus.utterances) - len(kept)
    marks = list(corpus.marks)
    if left_out:
        marks.append(
            f"{left_out} of {len(corpus.utterances)} utterances of "
            f"{corpus.name} are of classes that not all corpora have"
        )
    listed = tuple(u.id for u in corpus.utterances)
    return Domain(corpus.name, kept, listed, tuple(marks))


def plan_cells(
    found: Sequence[Domain],
    shots: Sequence[int],
    n_folds: int,
    seed: int,
    leave_one_out: bool = True,
) -> list[Cell]:
    """Inside each corpus, from each to each, and from all others to each.

    ``shots`` adds to every pair cells with so many utterances a class of the
    corpus tested; the smaller set is part of the larger one.
    """
    cells = []
    for target in found:
        blocks = _blocks(target, n_folds, seed)
        others = [d for d in found if d is not target]
        cells.append(Cell(target.name, target.name, 0, tuple(blocks)))
        sources = [(d.name, [d]) for d in others]
        if leave_one_out and len(others) > 1:
            sources.append((OTHERS, others))
        for name, sets in sources:
            train, valid = _source_parts(sets, n_folds, seed)
            test = tuple(u.id for u in target.utterances)
            whole = Fold(target.name, train, valid, test)
            cells.append(Cell(name, target.name, 0, (whole,)))
            if name == OTHERS:
                continue
            for k in shots:
                folds = tuple(
                    replace(
                        block,
                        train=train + _shots(target, block, k, seed),
                        valid=valid,
                    )
                    for block in blocks
                )
                cells.append(Cell(name, target.name, k, folds))
    return cells


def _blocks(domain: Domain, n_folds: int, seed: int) -> list[Fold]:
    """Whole speakers are tested, others validate."""
    count = _count(domain.utterances, n_folds)
    return make_folds(_PROTOCOL, domain.utterances, count, seed)


def _source_parts(
    found: Sequence[Domain], n_folds: int, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A block of whole speakers validates, all others train."""
    rows = [u for domain in found for u in domain.utterances]
    parts = group_kfold(rows, "spk", _count(rows, n_folds), seed)
    train, valid, test = next(iter(parts))
    return tuple(sorted([*train, *test])), tuple(valid)


def _count(utterances: Sequence[Utterance], n_folds: int) -> int:
    return min(n_folds, len(groups_of(utterances, "spk")))


def _shots(domain: Domain, block: Fold, k: int, seed: int) -> tuple[str, ...]:
    """The first k of each class, or all, of speakers that are not tested."""
    tested = set(block.test)
    speakers = {u.spk for u in domain.utterances if u.id in tested}
    by_class: dict[str, list[str]] = {}
    for utterance in domain.utterances:
        if utterance.spk not in speakers:
            by_class.setdefault(str(utterance.emo), []).append(utterance.id)
    return tuple(
        name
        for emotion in sorted(by_class)
        for name in shuffled(by_class[emotion], seed, f"shots {emotion}")[:k]
    )
