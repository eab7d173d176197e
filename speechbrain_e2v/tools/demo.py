"""The main job on a generated corpus, in minutes and without any download.

example:
  python -m speechbrain_e2v.tools.demo --output results/demo
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text

REPOSITORY = Path(__file__).resolve().parents[2]
SPEAKERS = 6
UPDATES = 200
EPOCHS = 40
PROTOCOL = "leave_one_speaker_out"
PROBES = {
    "mfcc": "MFCC statistics, logistic regression",
    "random": "same encoder at random initialisation, released probe",
    "linear": "pre-trained encoder, released probe",
    "logistic": "pre-trained encoder, logistic regression",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the demo."""
    parser.add_argument("--output", type=Path, default=Path("results/demo"))
    parser.add_argument("--speakers", type=int, default=SPEAKERS)
    parser.add_argument("--updates", type=int, default=UPDATES)


def run(arguments: argparse.Namespace) -> int:
    """Generate, pre-train, probe; print a table and write the report."""
    output = arguments.output.resolve()
    corpus, manifest = output / "corpus", output / "speech.json"
    python = sys.executable
    commands: list[list] = [
        [python, "-m", "speechbrain_e2v.corpora.synthetic", "--output", corpus]
        + ["--speakers", arguments.speakers],
        [python, "-m", "speechbrain_e2v.cli", "manifest", corpus]
        + ["-o", manifest, "--name", "Synthetic"],
        [python, "train.py", "hparams/pretrain_tiny.yaml"]
        + ["--manifests", f"['{manifest}']"]
        + ["--output_folder", output / "pretrain"]
        + ["--updates", arguments.updates]
        + ["--warmup_updates", max(1, arguments.updates // 10)],
    ]
    for name in PROBES:
        command: list = [python, "recipes/Synthetic/train.py"]
        command += [f"recipes/Synthetic/hparams/{name}.yaml"]
        command += ["--data_folder", corpus, "--protocol", PROTOCOL]
        command += ["--n_folds", arguments.speakers]
        command += ["--output_folder", output / name]
        command += ["--feature_cache", output / "features"]
        if name != "mfcc":
            command += ["--encoder", output / "pretrain" / "encoder"]
        if name in ("random", "linear"):
            command += ["--number_of_epochs", EPOCHS]
        commands.append(command)
    started = time.monotonic()
    for number, command in enumerate(commands, start=1):
        words = [str(word) for word in command]
        print(f"\n[{number}/{len(commands)}] {shlex.join(words)}", flush=True)
        done = subprocess.run(words, cwd=REPOSITORY)
        if done.returncode:
            print(f"\ndemo: command {number} failed", file=sys.stderr)
            return done.returncode
    minutes = (time.monotonic() - started) / 60
    table = _table({name: output / name for name in PROBES})
    report = replace_text(
        output / "report.md", _report(table, commands, minutes)
    )
    print(f"\n{table}\n\n{minutes:.1f} minutes. Report: {report}")
    return 0


def _table(folders: dict[str, Path]) -> str:
    lines = [
        "| features, classifier | WA | UA | WF1 | UA over folds |",
        "|---|---|---|---|---|",
    ]
    for name, folder in folders.items():
        results = json.loads((folder / "results.json").read_text("utf-8"))
        pooled, spread = results["pooled"], results["fold_spread"]["ua"]
        scores = " | ".join(f"{pooled[k]:.1f}" for k in ("wa", "ua", "wf1"))
        lines.append(
            f"| {PROBES[name]} | {scores} | "
            f"{spread['mean']:.1f} +- {spread['sd']:.1f} |"
        )
    return "\n".join(lines)


def _report(table: str, commands: list[list], minutes: float) -> str:
    listing = "\n".join(
        shlex.join(str(word) for word in command) for command in commands
    )
    pictures = "\n".join(
        f"### {title}\n\n![{title}]({name}/confusion.png)\n"
        for name, title in PROBES.items()
    )
    return (
        "# Demo\n\n"
        "Generated voices, held-out speakers. These scores show that the "
        "pipeline works; they are not results on speech.\n\n"
        f"{table}\n\n{minutes:.1f} minutes.\n\n"
        f"## Pre-training\n\n![health](pretrain/health.png)\n\n"
        f"## Confusion\n\n{pictures}\n"
        f"## Commands\n\n```bash\n{listing}\n```\n"
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_e2v.tools.demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
