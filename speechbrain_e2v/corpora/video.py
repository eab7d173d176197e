"""Sound of video and compressed audio files as wav, by ffmpeg.

MELD is mp4 and MEAD is m4a, which libsndfile does not read. One wav (mono,
16,000 Hz, 16 bit) is written per file; files that are there and newer are
kept, so that an interrupted run goes on where it stopped.

> python -m speechbrain_e2v.corpora.video --data_folder DIR --pattern "*.mp4"
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.ffmpeg import require
from speechbrain_e2v.corpora.folders import list_files
from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.files.documents import read_json
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

CHANNELS = ("downmix", "center")
REPORT = "extraction.json"
_HEADER = 44  # bytes of a wav file without a sample
_SURROUND = 6


class _Report(msgspec.Struct):
    channel: str


def extract_folder(
    data_folder: str | Path,
    pattern: str,
    output_folder: str | Path | None = None,
    channel: str = "downmix",
    copied: Sequence[str] = (),
    jobs: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Extract the sound of every file of a folder, beside it or elsewhere.

    ``channel="downmix"`` averages what ffmpeg's ``-ac 1`` averages;
    ``"center"`` takes the centre of 5.1 sound (where dialogue is) and the
    first channel of anything else. Files that match ``copied`` are copied
    into the output folder. The report, which ``extraction.json`` of that
    folder holds too, has ``channel``, ``written``, ``up_to_date`` and
    ``failures`` (path to reason).

    Raises ValueError when ffmpeg is missing, no file matches, or the output
    folder holds another choice of channel.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel is {channel!r}; use one of {CHANNELS}")
    require("ffmpeg", *(["ffprobe"] if channel == "center" else []))
    data_folder = Path(os.path.abspath(data_folder))
    output_folder = Path(os.path.abspath(output_folder or data_folder))
    sources = list_files(data_folder, pattern)
    _refuse_other_channel(output_folder / REPORT, channel)
    # Written first: a run that is interrupted has made its choice.
    report: dict[str, Any] = {"channel": channel, "complete": False}
    _write(output_folder / REPORT, report)
    if output_folder != data_folder:
        _copy(data_folder, output_folder, copied)

    def extract(name: str) -> str:
        target = (output_folder / name).with_suffix(".wav")
        return extract_one(data_folder / name, target, channel)

    outcomes = {}
    pool = ThreadPoolExecutor(jobs or os.cpu_count())
    try:
        results = progress_bar(
            pool.map(extract, sources),
            total=len(sources),
            desc="extracting",
            unit="file",
            disable=not progress,
        )
        outcomes = dict(zip(sources, results, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    report = {
        "channel": channel,
        "complete": True,
        "written": sum(o == "written" for o in outcomes.values()),
        "up_to_date": sum(o == "up to date" for o in outcomes.values()),
        "failures": {
            name: outcome
            for name, outcome in outcomes.items()
            if outcome not in ("written", "up to date")
        },
    }
    _write(output_folder / REPORT, report)
    return report


class _NoSound(Exception):
    pass


def extract_one(source: Path, target: Path, channel: str = "downmix") -> str:
    """Extract one file: "written", "up to date", or why it failed."""
    if _up_to_date(source, target):
        return "up to date"
    try:
        channel_options = _channel_options(source, channel)
        with replaced_file(target) as sound:
            _run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source),
                  "-vn", *channel_options, "-ar", str(SAMPLE_RATE),
                  "-c:a", "pcm_s16le", "-f", "wav", str(sound)])  # fmt: skip
            if sound.stat().st_size <= _HEADER:
                raise _NoSound
    except _NoSound:
        return "ffmpeg found no sound in it"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        return lines[-1] if lines else f"exit status {error.returncode}"
    return "written"


def _channel_options(source: Path, channel: str) -> list[str]:
    if channel == "downmix":
        return ["-ac", "1"]
    # Asking stereo for a centre would give silence without an error.
    found = _run(["ffprobe", "-v", "error", "-select_streams", "a:0",
                  "-show_entries", "stream=channels", "-of", "csv=p=0",
                  str(source)])  # fmt: skip
    surround = found.strip().rstrip(",") == str(_SURROUND)
    return ["-af", "pan=mono|c0=FC" if surround else "pan=mono|c0=c0"]


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.stdout


def _up_to_date(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    made = target.stat()
    return made.st_size > _HEADER and made.st_mtime >= source.stat().st_mtime


def _refuse_other_channel(path: Path, channel: str) -> None:
    if not path.is_file():
        return
    other = read_json(path, _Report).channel
    if other != channel:
        raise ValueError(
            f"{path.parent} holds sound extracted with channel {other!r}, "
            f"not {channel!r}; choose another output folder, or remove the "
            "wav files and the report"
        )


def _copy(
    data_folder: Path, output_folder: Path, patterns: Sequence[str]
) -> None:
    for pattern in patterns:
        for name in list_files(data_folder, pattern):
            target = output_folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(data_folder / name, target)


def _write(path: Path, report: dict[str, Any]) -> None:
    replace_text(path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; exit status 1 when nothing could be extracted."""
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_e2v.corpora.video",
        description="Extract mono 16 kHz wav files with ffmpeg.",
    )
    parser.add_argument("--data_folder", required=True)
    parser.add_argument("--pattern", required=True, help='such as "*.mp4"')
    parser.add_argument("--output_folder", help="default: beside the sources")
    parser.add_argument("--channel", choices=CHANNELS, default="downmix")
    parser.add_argument(
        "--copy",
        action="append",
        default=[],
        help="further files for the output folder, such as '*_sent_emo.csv'",
    )
    parser.add_argument("--jobs", type=int, help="default: one a core")
    options = parser.parse_args(arguments)
    try:
        report = extract_folder(
            options.data_folder,
            options.pattern,
            options.output_folder,
            options.channel,
            options.copy,
            options.jobs,
        )
    except ValueError as error:
        parser.exit(1, f"error: {error}\n")
    print(
        f"{report['written']} written, {report['up_to_date']} up to date, "
        f"{len(report['failures'])} failed"
    )
    for name, reason in report["failures"].items():
        print(f"  {name}: {reason}")
    if report["failures"] and not report["written"] + report["up_to_date"]:
        parser.exit(1)


if __name__ == "__main__":
    main()
