"""One round: a teacher labels what has no labels, and is audited."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_e2v.corpora.common_labels import CommonLabels
from speechbrain_e2v.corpora.label_tables import read_table
from speechbrain_e2v.corpora.manifest import read_manifest, write_manifest
from speechbrain_e2v.corpora.manifest_rows import rows_digest, to_rows
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.evaluation import Posteriors
from speechbrain_e2v.downstream.feature_cache import cached_features
from speechbrain_e2v.downstream.provenance import heard_caveats
from speechbrain_e2v.downstream.pseudo_labels.acceptance import (
    SENTIMENTS,
    Acceptance,
    Judgement,
    Opinions,
    calibrated_thresholds,
)
from speechbrain_e2v.downstream.pseudo_labels.audit import audit
from speechbrain_e2v.downstream.pseudo_labels.nine_classes import (
    NINE,
    codes,
    labelled_in_nine,
    posteriors_in_nine,
)
from speechbrain_e2v.downstream.pseudo_labels.pieces import (
    PieceLengths,
    speech_pieces,
)
from speechbrain_e2v.downstream.pseudo_labels.table import write_table
from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.inference.streaming import SILENCE_DB
from speechbrain_e2v.inference.trained import TrainedClassifier

ROUND = "round.json"


@dataclass(frozen=True)
class RoundSettings:
    """How a round chooses.

    Either ``threshold`` for all classes, or ``precision`` for thresholds of
    each class, calibrated on the valid part with at least ``least`` utterances
    above it. ``pieces`` are cut out of the pool; None takes its rows as they
    are.
    """

    threshold: float | None = None
    precision: float | None = None
    least: int = 10
    quota: int | None = None
    pieces: PieceLengths | None = field(default_factory=PieceLengths)
    silence_db: float = SILENCE_DB

    def __post_init__(self) -> None:
        if (self.threshold is None) == (self.precision is None):
            raise ValueError(
                "give one of threshold (a confidence) and precision (of each "
                "class on the valid part)"
            )
        for name in ("threshold", "precision"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(
                    f"{name} is {value}; give more than 0, up to 1"
                )
        for name in ("least", "quota"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; give 1 or more")


@dataclass(frozen=True)
class Parts:
    """Labelled utterances, in the nine classes, and the unlabelled pool.

    ``valid`` calibrates, ``test`` audits; no teacher was trained on either.
    """

    train: Sequence[Utterance]
    valid: Sequence[Utterance]
    test: Sequence[Utterance]
    pool: Sequence[Utterance]


def read_parts(
    labels: CommonLabels,
    pool: Sequence[Path],
    train: Path | None,
    valid: Path | None,
    test: Path,
) -> Parts:
    """Of manifests; pieces of audio belong to one part alone."""
    known = [
        labelled_in_nine(read_manifest(path), labels) if path else []
        for path in (train, valid, test)
    ]
    if not known[2]:
        raise ValueError(f"{test}: no utterance has a class to audit with")
    unlabelled = [u for path in pool for u in read_manifest(path)]
    if len({u.id for u in unlabelled}) < len(unlabelled):
        raise ValueError("the pool's manifests share ids; rename them")
    taken = {u.wav for part in known for u in part}
    both = [u for u in unlabelled if u.wav in taken]
    if both:
        raise ValueError(
            f"{both[0].wav} is in the pool and has a label ({len(both)} such "
            "utterances); leave it out of one of them"
        )
    return Parts(known[0], known[1], known[2], unlabelled)


def read_sentiment(path: Path) -> dict[str, str]:
    """Sentiment of each id: a csv with the columns id and sentiment.

    >>> path = getfixture("tmp_path") / "s.csv"
    >>> _ = path.write_text("id,sentiment\\na,positive\\n")
    >>> read_sentiment(path)
    {'a': 'positive'}
    """
    found = {}
    for line, row in read_table(path, ("id", "sentiment")):
        if row["sentiment"] not in SENTIMENTS:
            raise ValueError(
                f"{path}, line {line}: the sentiment is {row['sentiment']!r}; "
                f"known are {', '.join(SENTIMENTS)}"
            )
        found[row["id"]] = row["sentiment"]
    return found


def run_round(
    folder: str | Path,
    teachers: Mapping[str, TrainedClassifier],
    parts: Parts,
    labels: CommonLabels,
    settings: RoundSettings,
    sentiment: Mapping[str, str] | None = None,
    batch_seconds: float = 60.0,
    progress: bool = True,
) -> dict:
    """Label the pool; gives ``round.json``, whose presence says: finished.

    ``teachers`` are one, or two that must agree, by name. The folder gets the
    manifest of what is kept, ``judgements.csv`` of everything, ``audit.json``
    and the table of :mod:`.table`. Outputs of teachers are kept, so that a
    round that was stopped goes on; the same round again changes no byte.
    """
    folder = Path(folder)
    upstreams = {name: Posteriors(t) for name, t in teachers.items()}
    digest = _digest(upstreams, parts, settings, sentiment)
    if (folder / ROUND).is_file():
        found = read_json(folder / ROUND, dict[str, Any])
        if found.get("digest") == digest:
            return found
    pool = list(parts.pool)
    if settings.pieces is not None:
        pool = speech_pieces(
            pool, settings.pieces, settings.silence_db, progress
        )
    if not pool:
        raise ValueError("the pool has no piece of speech that is long enough")

    def opinions(utterances: Sequence[Utterance]) -> Opinions:
        ids = [u.id for u in utterances]
        tables = []
        for upstream in upstreams.values():
            store = cached_features(
                folder / "posteriors",
                upstream,
                utterances,
                batch_seconds,
                progress,
            )
            rows = np.concatenate([store.utterance(name) for name in ids])
            tables.append(
                posteriors_in_nine(
                    torch.from_numpy(rows), upstream.trained, labels
                )
            )
        return Opinions(ids, tables)

    thresholds: Mapping[str, float | None]
    thresholds = dict.fromkeys(NINE, settings.threshold)
    if settings.precision is not None:
        thresholds = calibrated_thresholds(
            opinions(parts.valid),
            codes(parts.valid),
            settings.precision,
            settings.least,
        )
    judgements = Acceptance(
        thresholds, settings.quota, _of_pieces(sentiment, pool)
    ).judge(opinions(pool))
    checked = Acceptance(thresholds, None, sentiment).judge(
        opinions(parts.test)
    )
    found = audit(checked, parts.test)
    marks = _marks(teachers, parts)
    kept = _kept(pool, judgements, list(teachers))
    write_manifest(folder / "manifest" / "all.json", kept, "/")
    _write_judgements(folder / "judgements.csv", judgements)
    _write(folder / "audit.json", {**found, "marks": marks})
    write_table(
        folder,
        {"train": [*parts.train, *kept], "valid": parts.valid,
         "test": parts.test},
    )  # fmt: skip
    about = {
        "digest": digest,
        "teachers": {n: upstream.digest for n, upstream in upstreams.items()},
        "settings": asdict(settings),
        "thresholds": thresholds,
        "pieces": len(pool),
        "kept": len(kept),
        "kept_seconds": round(sum(u.duration for u in kept), 3),
        "per_class": dict(sorted(Counter(str(u.emo) for u in kept).items())),
        "reasons": dict(sorted(Counter(j.reason for j in judgements).items())),
        "audit": {"kept": found["kept"], "precision": found["precision"]},
        "marks": marks,
    }
    _write(folder / ROUND, about)
    return about


def _of_pieces(
    sentiment: Mapping[str, str] | None, pool: Sequence[Utterance]
) -> dict[str, str] | None:
    """Of each piece: its own, else that of the whole it is cut from."""
    if sentiment is None:
        return None
    found = {}
    for u in pool:
        whole = sentiment.get(u.extra.get("source", u.id))
        text = sentiment.get(u.id, whole)
        if text is not None:
            found[u.id] = text
    return found


def _kept(
    pool: Sequence[Utterance],
    judgements: Sequence[Judgement],
    teachers: Sequence[str],
) -> list[Utterance]:
    believed = {j.id: j for j in judgements if j.kept}
    return [
        replace(
            u,
            emo=believed[u.id].label,
            split="train",
            extra={
                **u.extra,
                "confidence": round(believed[u.id].confidence, 6),
                "reason": believed[u.id].reason,
                "teachers": list(teachers),
            },
        )
        for u in pool
        if u.id in believed
    ]


def _write_judgements(path: Path, judgements: Sequence[Judgement]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "label", "confidence", "kept", "reason"])
    for j in judgements:
        sure = round(j.confidence, 6)
        writer.writerow([j.id, j.label, sure, int(j.kept), j.reason])
    replace_text(path, text.getvalue())


def _marks(
    teachers: Mapping[str, TrainedClassifier], parts: Parts
) -> list[str]:
    """Whether a teacher has heard what audits it."""
    marks = []
    for name, trained in teachers.items():
        card = trained.about.get("encoder_card")
        for data_set in sorted({u.dataset for u in parts.test if u.dataset}):
            marks += [f"{name}: {m}" for m in heard_caveats(card, data_set)]
    return list(dict.fromkeys(marks))


def _digest(
    upstreams: Mapping[str, Posteriors],
    parts: Parts,
    settings: RoundSettings,
    sentiment: Mapping[str, str] | None,
) -> str:
    content = {
        "teachers": {n: upstream.digest for n, upstream in upstreams.items()},
        "settings": asdict(settings),
        "sentiment": sentiment,
        "parts": [
            rows_digest(to_rows(part, "/"))
            for part in (parts.train, parts.valid, parts.test, parts.pool)
        ],
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, content: dict) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    replace_text(path, text + "\n")
