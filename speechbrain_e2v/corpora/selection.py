"""Which utterances of a corpus are used, and why not the rest."""

from collections.abc import Sequence
from dataclasses import replace

from speechbrain_e2v.corpora.audio_file import AudioError
from speechbrain_e2v.corpora.audio_info import measure_utterances
from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.utterance import Utterance

_SKIP_REASONS = {"missing": "missing_audio", "empty": "zero_length"}
_ROUNDING = 0.05  # seconds by which a piece may be longer than its audio
Skipped = dict[str, dict[str, str]]  # reason to id to detail


def _check_excluded(corpus: Corpus, rows: Sequence[Utterance]) -> None:
    known = {name for row in rows for name in (row.id, row.wav)}
    unknown = sorted(corpus.excluded - known)
    if unknown:
        raise ValueError(
            f"{corpus.name}: {len(unknown)} names to exclude are no id and no "
            f"path of the corpus, such as {unknown[0]!r}; correct the list"
        )


def select_utterances(
    corpus: Corpus,
    data_root: str,
    rows: Sequence[Utterance],
    min_duration: float | None,
    progress: bool,
) -> tuple[list[Utterance], Skipped, list[Utterance]]:
    """What to keep, why not the rest, and what is there but for choices."""
    _check_excluded(corpus, rows)
    skipped: Skipped = {}
    labelled, kept, there = [], [], []

    def skip(reason: str, utterance: Utterance, why: str) -> None:
        skipped.setdefault(reason, {})[utterance.id] = why

    for utterance in rows:
        if utterance.id in corpus.known_bad:
            why = corpus.known_bad[utterance.id]
            skip("known_bad", utterance, why)
            continue
        # Clips without a label (MELD has 141) are kept for pre-training.
        emo = corpus.class_of(utterance) if utterance.emo_raw else None
        if utterance.emo_raw and emo is None and not corpus.keep_others:
            skip("label_not_in_map", utterance, utterance.emo_raw)
            continue
        utterance = replace(
            utterance,
            emo=emo,
            lang=utterance.lang or corpus.lang,
            dataset=utterance.dataset or corpus.name,
        )
        labelled.append(utterance)
    found = measure_utterances(labelled, data_root, progress)
    if corpus.strict_pieces:
        _check_pieces(corpus, labelled, found)
    for utterance, outcome in zip(labelled, found, strict=True):
        if isinstance(outcome, AudioError):
            reason = _SKIP_REASONS.get(outcome.reason, "unreadable")
            skip(reason, utterance, str(outcome))
        elif {utterance.id, utterance.wav} & corpus.excluded:
            there.append(outcome)
            skip("excluded", utterance, "by choice")
        elif (
            min_duration is not None
            and outcome.split == "train"
            and outcome.duration < min_duration
        ):
            skip("too_short", utterance, f"{outcome.duration:g} s")
        else:
            kept.append(outcome)
    return kept, skipped, [*kept, *there]


def _check_pieces(
    corpus: Corpus,
    asked: Sequence[Utterance],
    found: Sequence[Utterance | AudioError],
) -> None:
    """Refuse pieces that lie outside of their audio."""
    wrong = []
    for utterance, outcome in zip(asked, found, strict=True):
        piece = (utterance.start, utterance.stop) != (None, None)
        if isinstance(outcome, AudioError):
            if piece and outcome.reason == "empty":
                wrong.append(f"{utterance.id} ({outcome.detail})")
        elif utterance.stop is not None:
            ends = (utterance.start or 0.0) + outcome.duration
            if utterance.stop > ends + _ROUNDING:
                wrong.append(
                    f"{utterance.id} (to {utterance.stop:g} s, the audio ends "
                    f"at {ends:g} s)"
                )
    if wrong:
        raise ValueError(
            f"{corpus.name}: {len(wrong)} pieces lie outside of their audio, "
            f"such as {', '.join(wrong[:3])}; correct start and end"
        )
