"""Recipes: run again, killed, and on audio that has changed since.

On real corpora, or on a small generated one where none is given.
"""

import csv
import hashlib
import json
import os
import runpy
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
from robustness.crashes import count_events, interrupted
from robustness.trial import Verdict, try_command

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.synthetic.corpus import write_corpus
from speechbrain_e2v.inference.feature_store import StoreWriter

REPOSITORY = Path(__file__).resolve().parents[2]
HANGING = 1800
"""Seconds on the clock: hundreds of clips, on a machine that may be busy."""
CORPORA = {"EmoDB": "EmoDB", "RAVDESS": "RAVDESS-Speech", "nEMO": "Custom"}
"""Folder of a corpus, and the recipe for it."""
# What tells of a run, not of its result.
NOT_COMPARED = {"log.txt", "env.log"}
TIMES = {"seconds"}


class Recipe(NamedTuple):
    """A recipe on a copy of its corpus, and one of its experiments."""

    name: str
    recipe: str
    data: Path
    encoder: Path
    probe: str = "logistic"
    options: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        return REPOSITORY / "recipes" / self.recipe / "train.py"

    def run(self, out: Path) -> int:
        """As from a shell: ``python train.py ...``; only in a fork."""
        yaml = REPOSITORY / "hparams" / "probes" / f"{self.probe}.yaml"
        sys.argv = [str(self.script), str(yaml), "--noprogressbar"]
        for key, value in {
            "data_folder": self.data,
            "encoder": self.encoder,
            "protocol": "random_kfold",
            "n_folds": 3,
            "strict_counts": False,
            "output_folder": out / "run",
            "feature_cache": out / "features",
        }.items():
            sys.argv += [f"--{key}", str(value)]
        sys.argv += self.options
        sys.path.insert(0, str(self.script.parent))
        runpy.run_path(str(self.script), run_name="__main__")
        return 0


def corpora(data: Path | None) -> list[str]:
    """Names of the corpora below `data`; ValueError when there is none."""
    if data is None:
        return ["Synthetic"]
    there = [name for name in CORPORA if (data / name).is_dir()]
    if not there:
        raise ValueError(f"{data}: there is none of {', '.join(CORPORA)}")
    return there


def recipe_for(
    name: str, data: Path | None, encoder: Path, place: Path
) -> Recipe:
    """The recipe of a corpus, on a copy in `place`."""
    copy = place / "corpus"
    if data is None:
        write_corpus(copy, 3, 12, (0.5, 0.8))
        return Recipe(name, name, copy, encoder)
    shutil.copytree(data / name, copy)
    if CORPORA[name] == "Custom":
        write_table(copy)
    return Recipe(name, CORPORA[name], copy, encoder)


def write_table(corpus: Path) -> None:
    """``labels.csv`` of files named ``speaker_label_number.wav``, as nEMO's."""
    with open(corpus / "labels.csv", "w", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "speaker"])
        for path in sorted(corpus.rglob("*.wav")):
            speaker, label, _ = path.stem.split("_")
            writer.writerow([path.relative_to(corpus), label, speaker])


def try_recipe(
    recipe: Recipe, place: Path, points: int
) -> tuple[Counter, list[str]]:
    """Run again, kill at some events and between clips, change the audio."""
    out = place / "new" / "out"
    counts: Counter = Counter()
    faults: list[str] = []

    def run() -> int:
        return recipe.run(out)

    def fresh() -> None:
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir(parents=True)

    def tried(case: str, command: Callable[[], int | None]) -> Verdict:
        counts["tried"] += 1
        verdict = try_command(command, place / "log", HANGING)
        if verdict.status not in (0, -signal.SIGKILL):
            faults.append(f"{recipe.name}, {case}: {verdict.output[-300:]}")
        return verdict

    def compare(case: str, found: dict, expected: dict) -> None:
        names = {*found, *expected}
        other = [n for n in names if found.get(n) != expected.get(n)]
        if other:
            faults.append(f"{recipe.name}, {case}: {sorted(other)[:5]} differ")

    def again(case: str) -> None:
        """Run once more, and compare with the whole run."""
        tried(case, run)
        compare(case, result(out), whole)

    fresh()
    note = place / "events"
    if tried("whole", lambda: count_events(run, out.parent, note)).status:
        return counts, faults
    whole, kept = result(out), stamps(out)
    archived = out / "run" / recipe.script.name
    if archived.read_bytes() != recipe.script.read_bytes():
        faults.append(f"{recipe.name}: {archived} is not the recipe's")
    again("run again")
    compare("run again, computed again", stamps(out), kept)

    clips = [u.wav for u in read_manifest(out / "run" / "manifest/all.json")]
    os.utime(clips[len(clips) // 3], (0, 0))
    again("touched")
    compare("touched, computed again", stamps(out), kept)

    events = int(note.read_text())
    counts["events"] = events
    for number in range(points):
        for torn in (False, True):
            at = events * (2 * number + 1) // (2 * points)
            fresh()
            case = f"killed at event {at}, torn {torn}"
            tried(
                case,
                lambda a=at, t=torn: interrupted(
                    run, out.parent, signal.SIGKILL, a, t
                ),
            )
            again(case)
        fresh()
        count = len(clips) * (2 * number + 1) // (2 * points)
        case = f"killed after {count} clips"
        verdict = tried(case, lambda n=count: between_clips(recipe, out, n))
        if verdict.status != -signal.SIGKILL:
            faults.append(f"{recipe.name}, {case}: not killed")
        again(case)

    for case, change in (("replaced", replace), ("of another rate", slow)):
        fresh()
        tried(case, run)
        before = {path.name for path in (out / "features").iterdir()}
        change(Path(clips[0]), Path(clips[-1]))
        tried(case, run)
        for store in before:
            shutil.rmtree(out / "features" / store)
        if not result(out, "features"):
            faults.append(f"{recipe.name}, {case}: features of before")
        remaining = result(out)
        fresh()
        tried(case, run)
        compare(case, remaining, result(out))
    return counts, faults


def between_clips(recipe: Recipe, out: Path, count: int) -> int:
    """Run and be killed when the features of `count` clips are written."""
    write, left = StoreWriter.write, iter(range(count))

    def counted(self: StoreWriter, *arguments: Any) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, *arguments)

    StoreWriter.write = counted
    return recipe.run(out)


def replace(clip: Path, other: Path) -> None:
    """Another recording under the name, of the same length, size and age."""
    wave, rate = soundfile.read(clip, dtype="int16")
    said, _ = soundfile.read(other, dtype="int16")
    said = said[: len(wave)]
    wave[: len(said)] = said
    _write_over(clip, wave, rate)


def slow(clip: Path, other: Path) -> None:
    """Half the rate, twice the duration, in a file of the same size and age."""
    wave, rate = soundfile.read(clip, dtype="int16")
    _write_over(clip, wave, rate // 2)


def _write_over(clip: Path, wave: Any, rate: int) -> None:
    age, size = clip.stat(), clip.stat().st_size
    soundfile.write(clip, wave, rate, subtype=soundfile.info(clip).subtype)
    os.utime(clip, ns=(age.st_atime_ns, age.st_mtime_ns))
    assert clip.stat().st_size == size, clip


def result(out: Path, below: str = "") -> dict[str, str]:
    """Digest of every file that a run writes, but for times."""
    found = {}
    for path in sorted((out / below).rglob("*")):
        if path.is_file() and path.name not in NOT_COMPARED:
            content = path.read_bytes()
            if path.suffix == ".json":
                text = json.dumps(_timeless(json.loads(content)))
                content = text.encode()
            name = path.relative_to(out).as_posix()
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def _timeless(content: Any) -> Any:
    if isinstance(content, list):
        return [_timeless(item) for item in content]
    if isinstance(content, dict):
        return {k: _timeless(x) for k, x in content.items() if k not in TIMES}
    return content


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and age of what is costly: features and trained folds."""
    paths = [*out.glob("features/*/*"), *out.glob("run/folds/*/seed*/*")]
    ages = {str(path.relative_to(out)): path.stat() for path in paths}
    return {name: (s.st_ino, s.st_mtime_ns) for name, s in ages.items()}
