"""Looking at every file before pre-training starts, not in its tenth hour."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.audio import AudioError, decode
from speechbrain_e2v.corpora.audio_info import audio_infos, measured
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.lobes.lengths import MIN_SAMPLES, SAMPLE_RATE

Problem = tuple[str, str]
"""A reason, such as "missing", and a message."""

_SHOWN = 20
# Integer samples are always finite; only these need decoding to be sure.
_CAN_HOLD_NAN = ("FLOAT", "DOUBLE")


class BadPretrainingData(ValueError):
    """Every problem of the pre-training data at once.

    >>> print(BadPretrainingData([("empty", "a.wav: empty")]))
    1 problems in the pre-training data (empty: 1):
      a.wav: empty
    """

    def __init__(self, problems: list[Problem]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        counts = Counter(reason for reason, _ in self.problems)
        counted = ", ".join(f"{k}: {n}" for k, n in sorted(counts.items()))
        lines = [f"  {message}" for _, message in self.problems[:_SHOWN]]
        if len(self.problems) > _SHOWN:
            lines.append(f"  ... and {len(self.problems) - _SHOWN} more")
        return (
            f"{len(self.problems)} problems in the pre-training data "
            f"({counted}):\n" + "\n".join(lines)
        )


@dataclass(frozen=True)
class PretrainingReport:
    """What the check found: utterances, hours, hours kept of every corpus."""

    listed: int
    kept: int
    too_short: int
    hours: float
    hours_too_short: float
    per_dataset: dict[str, float]

    def __str__(self) -> str:
        parts = [f"{n or '?'} {h:.2f} h" for n, h in self.per_dataset.items()]
        return (
            f"{self.kept} of {self.listed} utterances, {self.hours:.2f} h "
            f"({', '.join(parts)}); {self.too_short} too short "
            f"({self.hours_too_short:.3f} h)"
        )


def check_pretraining(
    utterances: Sequence[Utterance],
    min_samples: int = SAMPLE_RATE // 2,
    progress: bool = True,
) -> tuple[list[Utterance], PretrainingReport]:
    """Check every utterance; raise one error that lists every problem.

    Utterances shorter than `min_samples` (16,000 Hz; 0.5 s in the released
    configuration) are left out and counted. Refused: duplicate ids, missing,
    unreadable, truncated or empty files, values that are not finite, a length
    or rate that is not what the manifest says, and audio that is all too short.

    >>> import soundfile
    >>> path = getfixture("tmp_path") / "a.wav"
    >>> soundfile.write(path, [0.0] * 16000, 16000)
    >>> rows = [Utterance("a", str(path))]
    >>> kept, report = check_pretraining(rows, progress=False)
    >>> report.kept, kept[0].num_samples
    (1, 16000)
    """
    utterances = list(utterances)
    if min_samples < MIN_SAMPLES:
        raise ValueError(
            f"the shortest utterance is set to {min_samples} samples, but one "
            f"frame needs {MIN_SAMPLES}; raise it"
        )
    if not utterances:
        raise ValueError("the manifests list no utterance; check their paths")
    problems = _duplicates(utterances)
    paths = list(dict.fromkeys(u.wav for u in utterances))
    headers = dict(zip(paths, audio_infos(paths, progress), strict=True))
    kept: list[Utterance] = []
    short: list[Utterance] = []
    floats = []
    for utterance in utterances:
        header = headers[utterance.wav]
        found = measured(utterance, utterance.wav, header)
        if isinstance(found, AudioError):
            problems.append((found.reason, f"{utterance.id}: {found}"))
            continue
        problems.extend(_contradictions(utterance, found))
        enough = found.samples_at_16k >= min_samples
        (kept if enough else short).append(found)
        if enough and getattr(header, "subtype", "") in _CAN_HOLD_NAN:
            floats.append(found)
    problems.extend(_not_finite(floats, progress))
    if short and not kept:
        longest = max(short, key=lambda u: u.duration)
        problems.append(
            (
                "too_short",
                f"every utterance is shorter than {min_samples} samples at "
                f"{SAMPLE_RATE} Hz; the longest is {longest.id} with "
                f"{longest.duration:g} s: lower the limit or give longer audio",
            )
        )
    if problems:
        raise BadPretrainingData(problems)
    return kept, _report(utterances, kept, short)


def _duplicates(utterances: Sequence[Utterance]) -> list[Problem]:
    first: dict[str, Utterance] = {}
    problems = []
    for utterance in utterances:
        other = first.setdefault(utterance.id, utterance)
        if other is not utterance:
            problems.append(
                (
                    "duplicate_id",
                    f"{utterance.id}: is both {other.wav} and "
                    f"{utterance.wav}; ids must differ between manifests",
                )
            )
    return problems


def _contradictions(
    utterance: Utterance, found: Utterance
) -> Iterator[Problem]:
    piece = (utterance.start, utterance.stop) != (None, None)
    # Seconds are written in microseconds, which can move a cut by a sample.
    for name, unit, slack in (
        ("sample_rate", "Hz", 0),
        ("num_samples", "samples", int(piece)),
    ):
        says, has = getattr(utterance, name), getattr(found, name)
        if says and abs(says - has) > slack:
            yield (
                f"wrong_{name}",
                f"{utterance.id}: {utterance.wav} has {has} {unit}, the "
                f"manifest says {says}; prepare the manifest again",
            )


def _not_finite(
    utterances: Sequence[Utterance], progress: bool
) -> list[Problem]:
    def problem(utterance: Utterance) -> Problem | None:
        try:
            decode(utterance.wav, utterance.start, utterance.stop)
        except AudioError as error:
            return error.reason, f"{utterance.id}: {error}"
        return None

    with ThreadPoolExecutor() as pool:
        found = progress_bar(
            pool.map(problem, utterances),
            total=len(utterances),
            desc="float samples",
            unit="file",
            disable=not (progress and utterances),
        )
        return [item for item in found if item is not None]


def _report(
    utterances: Sequence[Utterance],
    kept: Sequence[Utterance],
    short: Sequence[Utterance],
) -> PretrainingReport:
    per_dataset: dict[str, float] = defaultdict(float)
    for utterance in kept:
        per_dataset[utterance.dataset] += utterance.duration / 3600
    return PretrainingReport(
        listed=len(utterances),
        kept=len(kept),
        too_short=len(short),
        hours=sum(u.duration for u in kept) / 3600,
        hours_too_short=sum(u.duration for u in short) / 3600,
        per_dataset=dict(sorted(per_dataset.items())),
    )
