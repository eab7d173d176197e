"""Small inputs of every command, and the commands that are tried on them."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import soundfile
import torch
from unit.inference.tiny import noise, tiny_encoder, tiny_trained, write_run
from unit.published.published_tiny import (
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v import cli
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.published.encoder_folder import save_encoder

TOKENS = ["angry", "disgusted", "fearful", "happy", "neutral", "other", "sad"]
TOKENS += ["surprised", "<unk>"]
CONFIG = "model: Emotion2vec\nmodel_conf:\n    embed_dim: 48\n"
RESULTS = Path(__file__).parents[1] / "unit/report/results_of_format_1"
GUARDED = {".safetensors", ".ckpt"}
FORMATS = {
    "wav": {"format": "WAV", "subtype": "PCM_16"},
    "float.wav": {"format": "WAV", "subtype": "FLOAT"},
    "mulaw.wav": {"format": "WAV", "subtype": "ULAW"},
    "flac": {"format": "FLAC"},
    "ogg": {"format": "OGG"},
    "mp3": {"format": "MP3"},
    "aiff": {"format": "AIFF"},
    "au": {"format": "AU"},
    "w64": {"format": "W64"},
    "rf64": {"format": "RF64"},
}


class Command(NamedTuple):
    """A subcommand that writes `out`, and where what it wrote is found."""

    name: str
    arguments: tuple[str, ...]

    def run(self, out: Path) -> int:
        return cli.main([a.replace("OUT", str(out)) for a in self.arguments])


def build(folder: Path) -> None:
    """Write every input; the same bytes each time."""
    torch.manual_seed(0)
    speech = folder / "speech"
    speech.mkdir(parents=True)
    for number in range(3):
        clip = noise(5000 + 3000 * number, number)
        soundfile.write(speech / f"{number}.wav", clip, 16000)
    audio = folder / "audio"
    audio.mkdir()
    for suffix, options in FORMATS.items():
        path = audio / f"clip.{suffix}"
        soundfile.write(path, noise(16000, 9), 16000, **options)
    (folder / "list.txt").write_text(f"{speech}/0.wav\n{speech}/1.wav\n")
    save_encoder(folder / "encoder", tiny_encoder(), {"pretraining": {}})
    write_classifier(folder / "classifier", tiny_trained())
    student, teacher = tiny_pair()
    write_fairseq(folder / "fairseq.pt", student, teacher)
    write_funasr(folder / "funasr", student, TOKENS, CONFIG)
    (folder / "project").mkdir()
    write_run(folder / "project")
    shutil.copytree(RESULTS, folder / "results")
    quiet(["manifest", str(speech), "-o", str(folder / "speech.json")])
    encoder = ["--encoder", str(folder / "encoder")]
    for kind in ("npy", "store"):
        quiet(
            ["extract", str(speech), *encoder, "--format", kind]
            + ["-o", str(folder / kind)]
        )


def quiet(argv: list[str]) -> None:
    status = cli.main(argv)
    assert status == 0, argv


def commands(folder: Path) -> list[Command]:
    """Every command that writes files, on good input."""
    speech, encoder = str(folder / "speech"), str(folder / "encoder")
    classifier = str(folder / "classifier")
    tried = {
        "extract_npy": ["extract", speech, "--encoder", encoder, "-o", "OUT"],
        "extract_store": ["extract", speech, "--encoder", encoder]
        + ["--format", "store", "-o", "OUT"],
        "manifest": ["manifest", speech, "-o", "OUT/speech.json"],
        "convert": ["convert", str(folder / "fairseq.pt"), "OUT"],
        "convert_to_fairseq": ["convert", encoder, "OUT/model.pt"]
        + ["--to", "fairseq"],
        "convert_to_funasr": ["convert", encoder, "OUT", "--to", "funasr"],
        "export": ["export", str(folder / "project" / "run"), "OUT"],
        "timeline": ["timeline", f"{speech}/2.wav", "--model", classifier]
        + ["--window", "0.5", "--hop", "0.1", "-o", "OUT/timeline.csv"],
        "push": ["push", classifier, "OUT/"],
        "table": ["table", str(folder / "results")]
        + ["-o", "OUT/table.md", "OUT/table.csv"],
    }
    return [Command(name, tuple(words)) for name, words in tried.items()]


class Kind(NamedTuple):
    """A file that a command reads, and that is damaged before it does.

    Of a `guarded` one digests are kept: accepted damage must change nothing.
    """

    file: str
    arguments: tuple[str, ...]
    guarded: bool = False

    def command(self, place: Path, out: Path) -> int:
        return cli.main(
            [
                word.replace("HERE", str(place)).replace("OUT", str(out))
                for word in self.arguments
            ]
        )


def kinds(workspace: Path) -> list[Kind]:
    """Every kind of file; HERE is a copy of the workspace."""
    extract = ("--encoder", "HERE/encoder", "-o", "OUT")
    found = [
        Kind(f"audio/clip.{suffix}", ("extract", "HERE/audio", *extract))
        for suffix in FORMATS
    ]
    found += [
        Kind("list.txt", ("extract", "HERE/list.txt", *extract)),
        Kind("speech.json", ("audit", "train=HERE/speech.json")),
    ]
    for path in sorted((workspace / "encoder").iterdir()):
        if path.suffix != ".md":
            found.append(
                Kind(
                    f"encoder/{path.name}",
                    ("extract", "HERE/speech", *extract),
                    path.suffix in GUARDED,
                )
            )
    for path in sorted((workspace / "classifier").iterdir()):
        if path.suffix not in (".md", ".py"):
            found.append(
                Kind(
                    f"classifier/{path.name}",
                    ("classify", "HERE/speech", "--model", "HERE/classifier")
                    + ("--json",),
                    path.suffix in GUARDED,
                )
            )
    again = ("extract", "HERE/speech", "--encoder", "HERE/encoder")
    found += [
        Kind("npy/extraction.json", (*again, "-o", "HERE/npy")),
        Kind(
            "store/extraction.json",
            (*again, "--format", "store", "-o", "HERE/store"),
        ),
        Kind(
            "store/index.json",
            (*again, "--format", "store", "-o", "HERE/store"),
        ),
        Kind("fairseq.pt", ("convert", "HERE/fairseq.pt", "OUT")),
        Kind("funasr/model.pt", ("convert", "HERE/funasr", "OUT")),
        Kind("funasr/tokens.txt", ("convert", "HERE/funasr", "OUT")),
        Kind("funasr/config.yaml", ("convert", "HERE/funasr", "OUT")),
        Kind("results/emodb_encoder/results.json", ("table", "HERE/results")),
    ]
    export = ("export", "HERE/project/run", "OUT")
    for name in (
        "results.json",
        "manifest/all.json",
        "folds/02/seed7/result.json",
        "folds/02/seed7/probe.json",
        "folds/02/seed7/probe.safetensors",
    ):
        found.append(Kind(f"project/run/{name}", export))
    return found


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder, by its name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def unfinished(folder: Path) -> list[str]:
    """What no command may leave behind once it has ended by itself."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.startswith((".unfinished-", ".writer.lock"))
    ]


def said(text: str) -> list[str]:
    """Lines of a log from the first of ours on: nothing may follow it."""
    lines = text.splitlines()
    ours = [number for number, x in enumerate(lines) if x.startswith("e2v: ")]
    return lines[ours[0] :] if ours else []


def host() -> str:
    return f"{os.uname().sysname} {os.uname().machine}, {os.cpu_count()} cores"
