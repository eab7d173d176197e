"""Look for leaks between training, validation and test.

RUN is the output folder of a recipe's train.py, or a folder of such; its own
folds are made again. MANIFESTS are PART=FILE (or train.json, valid.json,
test.json); one manifest alone is split by --protocol, else by its column
`split`. Exit status 1: something is shared that the protocol does not declare.

example:
  e2v audit results/linear/random_kfold
  e2v audit train=pretraining.json test=emodb.json --allow transcript
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from speechbrain_e2v.corpora.audit import (
    KINDS,
    audio_hashes,
    balance,
    repeated_audio,
    shared_things,
)
from speechbrain_e2v.corpora.audit_inputs import (
    Audited,
    from_manifests,
    from_run,
    runs_below,
)
from speechbrain_e2v.corpora.protocols import Fold
from speechbrain_e2v.report.formats import single_line
from speechbrain_e2v.report.results_file import said_rightly

_SHOWN = 5


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v audit`."""
    parser.add_argument("what", nargs="+", metavar="RUN|[PART=]MANIFEST")
    parser.add_argument("--protocol", help="of a single manifest")
    parser.add_argument("--n_folds", type=int, default=10)
    parser.add_argument("--split_seed", type=int, default=42)
    parser.add_argument(
        "--allow",
        nargs="*",
        default=[],
        choices=KINDS,
        help="what the parts may share, beyond what the protocol declares",
    )
    parser.add_argument(
        "--exclude",
        nargs="*",
        default=[],
        metavar="ID",
        help="utterances that are not looked at, such as one of a pair that "
        "is known to be the same audio",
    )
    parser.add_argument(
        "--no_audio", action="store_true", help="do not compare samples"
    )


def run(arguments: Namespace) -> int:
    """Audit every run or the manifests; 1 for a leak or a wrong label."""
    folders = [Path(w) for w in arguments.what if Path(w).is_dir()]
    if folders and len(folders) < len(arguments.what):
        raise ValueError("give runs or manifests, not both at once")
    inputs: Iterable[Audited]
    if folders:
        inputs = (from_run(run) for f in folders for run in runs_below(f))
    else:
        inputs = [
            from_manifests(
                arguments.what,
                arguments.protocol,
                arguments.n_folds,
                arguments.split_seed,
            )
        ]
    hashes: dict[tuple, str] = {}
    seen: dict[tuple, tuple[str, list]] = {}
    status = 0
    unused = set(arguments.exclude)
    for everything in inputs:
        audited, found_ids = _without(everything, arguments.exclude)
        unused -= found_ids
        key = (audited.protocol, *audited.folds, *audited.utterances_key)
        if key in seen and _says_so(seen[key][1], audited.caveats):
            lines = [f"{audited.name}: the same folds as {seen[key][0]}"]
            lines += _notes(audited)
        else:
            lines, found, bad = _audit(audited, arguments, hashes)
            seen.setdefault(key, (audited.name, found))
            status |= bad
        if found_ids:
            lines.insert(1, f"  note: excluded: {', '.join(sorted(found_ids))}")
        print("\n".join(map(_shown, lines)) + "\n", flush=True)
    if unused:
        raise ValueError(
            f"--exclude: no utterance is called {', '.join(sorted(unused))}; "
            "ids are those of the manifest"
        )
    return status


def _without(audited: Audited, ids: list[str]) -> tuple[Audited, set[str]]:
    """The same without some utterances, and which of them there were."""
    found = {u.id for u in audited.utterances} & set(ids)
    if not found:
        return audited, found

    def kept(part: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in part if name not in found)

    folds = [
        Fold(fold.name, kept(fold.train), kept(fold.valid), kept(fold.test))
        for fold in audited.folds
    ]
    rows = [u for u in audited.utterances if u.id not in found]
    return replace(audited, utterances=rows, folds=folds), found


def _audit(audited, arguments, known):
    """Lines, what is shared, 1 for a leak; ``known`` hashes are by place."""
    rows = audited.utterances
    hashes = {}
    if not arguments.no_audio:
        new = [u for u in rows if _place(u) not in known]
        fresh = audio_hashes(new)
        known.update({_place(u): fresh[u.id] for u in new})
        hashes = {u.id: known[_place(u)] for u in rows}
    found = shared_things(
        audited.folds, rows, hashes, audited.protocol, arguments.allow
    )
    lines = [f"{audited.name}: {len(rows)} utterances, {_folds(audited)}"]
    lines += _notes(audited)
    lines += _shared_lines(found, len(audited.folds))
    bad = any(entry.is_leak for entry in found)
    if audited.is_run and not _says_so(found, audited.caveats):
        lines.append(
            "  LEAK: results.json does not say that test speakers train"
        )
        bad = True
    for problem in (*audited.unknown_labels, *_repeated(rows, hashes)):
        lines.append(f"  {problem[0]}: {problem[1]}")
        bad |= problem[0] == "WRONG"
    lines += _balance_lines(audited)
    lines.append("  leak" if bad else "  no undeclared leak")
    return lines, found, int(bad)


def _notes(audited: Audited) -> list[str]:
    caveats = said_rightly(audited.protocol or "", audited.caveats)
    return [f"  note: {caveat}" for caveat in caveats]


def _says_so(found, caveats):
    """Whether a run tells its readers that test speakers are in training."""
    shared = any(
        (entry.kind, entry.pair) == ("speaker", ("train", "test"))
        for entry in found
    )
    return not shared or "test speakers occur in training" in caveats


def _place(utterance):
    return utterance.wav, utterance.start, utterance.stop


def _folds(audited):
    count = len(audited.folds)
    return f"{count} fold{'s' * (count != 1)}, " + (
        audited.protocol or "no protocol"
    )


def _shared_lines(found, n_folds):
    lines, groups = [], {}
    for entry in found:
        if entry.pair == ("train", "valid") and entry.declared:
            continue  # always so, and of no consequence to the test
        groups.setdefault((entry.pair, entry.kind), []).append(entry)
    for (pair, kind), entries in groups.items():
        most = max(entries, key=lambda entry: len(entry.values))
        word = "LEAK" if entries[0].is_leak else "declared"
        shown = ", ".join(most.values[:_SHOWN])
        more = len(most.values) - _SHOWN
        lines.append(
            f"  {word}: {kind} in {pair[0]} and {pair[1]}: "
            f"{len(entries)} of {n_folds} folds, at most {len(most.values)} "
            f"({most.fold}: {shown}{f', and {more} more' * (more > 0)})"
        )
    return lines


def _repeated(rows, hashes):
    groups = repeated_audio(rows, hashes)
    for ids, classes in groups[:_SHOWN]:
        word = "WRONG" if len(classes) > 1 else "note"
        yield word, f"identical audio: {', '.join(ids)} ({'/'.join(classes)})"
    if len(groups) > _SHOWN:
        wrong = sum(len(classes) > 1 for _, classes in groups[_SHOWN:])
        yield (
            "WRONG" if wrong else "note",
            f"{len(groups) - _SHOWN} more groups of identical audio, {wrong} "
            "of them with different labels",
        )


def _balance_lines(audited):
    by_id = {u.id: u for u in audited.utterances}
    classes = sorted({str(u.emo) for u in audited.utterances})
    lines, absent = [], {}
    for fold in audited.folds:
        parts = balance(fold, by_id)
        counts = " / ".join(
            f"{p['utterances']} ({p['hours']:.2f} h, {p['mean_seconds']:.1f} s)"
            for p in parts.values()
        )
        lines.append(f"  {fold.name}: {counts}")
        for part, entry in parts.items():
            for name in sorted(set(classes) - set(entry["classes"])):
                if entry["utterances"]:
                    absent.setdefault((part, name), []).append(fold.name)
    lines = [*lines[:_SHOWN], *(["  ..."] if lines[_SHOWN:] else [])]
    lines += [
        f"  note: no {name} in {part} of {', '.join(folds[:_SHOWN])}"
        for (part, name), folds in absent.items()
    ]
    lines.append(f"  worst class share in test: {_skew(audited, by_id)}")
    return lines


def _skew(audited, by_id):
    """The class whose share of a test part is furthest from its share."""
    worst = (0.0, "none")
    total = len(audited.utterances)
    for name in sorted({str(u.emo) for u in audited.utterances}):
        usual = sum(str(u.emo) == name for u in audited.utterances) / total
        for fold in audited.folds:
            here = [str(by_id[i].emo) == name for i in fold.test]
            if here:
                share = sum(here) / len(here)
                text = f"{name}, {share:.0%} of {fold.name}, {usual:.0%} of all"
                worst = max(worst, (abs(share - usual), text))
    return worst[1]


def _shown(line: str) -> str:
    """Ids and labels of others, harmless; the indent stays."""
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + single_line(line)
