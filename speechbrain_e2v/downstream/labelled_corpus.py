"""Utterances with a class each, of a recipe's corpus or of a manifest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.labels import LabelSet
from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import completeness_caveats, prepare
from speechbrain_e2v.corpora.utterance import Utterance


@dataclass(frozen=True)
class LabelledCorpus:
    """A name, utterances that all have a class, and what is to be said.

    ``classes`` has those of each data set that the utterances name, in order.
    """

    name: str
    utterances: tuple[Utterance, ...]
    classes: dict[str, tuple[str, ...]]
    marks: tuple[str, ...] = ()

    def called(self, name: str) -> "LabelledCorpus":
        """The same under another name, also for a single data set's labels."""
        if len(self.classes) != 1:
            return replace(self, name=name)
        (classes,) = self.classes.values()
        rows = tuple(replace(u, dataset=name) for u in self.utterances)
        return LabelledCorpus(name, rows, {name: classes}, self.marks)


def prepared_corpus(
    corpus: Corpus,
    data_folder: str | Path,
    output_folder: str | Path,
    strict_counts: bool = True,
    progress: bool = True,
) -> LabelledCorpus:
    """Of a corpus that a recipe knows; its manifest goes to ``output_folder``.

    Raises ValueError as :func:`speechbrain_e2v.corpora.prepare.prepare`.
    """
    corpus = corpus.bound_to(data_folder)
    manifest = prepare(
        corpus, data_folder, output_folder, strict_counts, progress=progress
    )
    found = read_manifest(manifest)
    kept = LabelSet(corpus.classes).apply(u for u in found if u.emo is not None)
    if not kept:
        raise ValueError(f"{corpus.name} has no classes of emotions")
    return LabelledCorpus(
        corpus.name,
        tuple(kept),
        dict.fromkeys(_data_sets(kept), corpus.classes),
        (*completeness_caveats(manifest), *_unlabelled(len(found), len(kept))),
    )


def listed_corpus(manifest: str | Path) -> LabelledCorpus:
    """Of a manifest, whose name it takes where it mixes several data sets.

    Raises ValueError where no utterance has a class.
    """
    manifest = Path(manifest)
    found = read_manifest(manifest)
    kept = [u for u in found if u.emo is not None]
    if not kept:
        raise ValueError(
            f"{manifest}: none of {len(found)} utterances has a class (emo); "
            "give a manifest of a corpus with labels"
        )
    names = _data_sets(kept)
    classes = {
        name: tuple(sorted({str(u.emo) for u in kept if u.dataset == name}))
        for name in names
    }
    alone = names[0] if len(names) == 1 else ""
    return LabelledCorpus(
        alone or manifest.stem,
        tuple(kept),
        classes,
        tuple(_unlabelled(len(found), len(kept))),
    )


def of_part(corpus: LabelledCorpus, part: str | None) -> LabelledCorpus:
    """The official part of a corpus, which is a mark; None: all of it.

    Raises ValueError where there is no such part.
    """
    if part is None:
        return corpus
    chosen = tuple(u for u in corpus.utterances if u.split == part)
    if not chosen:
        raise ValueError(f"{corpus.name} has no official part {part!r}")
    mark = f"{len(chosen)} of {len(corpus.utterances)} utterances: {part}"
    return replace(corpus, utterances=chosen, marks=(*corpus.marks, mark))


def _data_sets(utterances: Iterable[Utterance]) -> list[str]:
    return list(dict.fromkeys(u.dataset for u in utterances))


def _unlabelled(found: int, kept: int) -> list[str]:
    without = found - kept
    return [f"{without} utterances without a class"] if without else []
