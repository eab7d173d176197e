"""Small inputs of every command, the same bytes each time."""

import shutil
from pathlib import Path

import soundfile
import torch
from robustness.commands import pretraining, pretraining_words
from robustness.mutations_published import models
from unit.inference.tiny import noise, tiny_encoder, tiny_trained, write_run

from speechbrain_e2v import cli
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.published.encoder_folder import save_encoder

RESULTS = Path(__file__).parents[1] / "unit/report/results_of_format_1"
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


def build(folder: Path) -> None:
    """Write every input."""
    torch.manual_seed(0)
    speech = folder / "speech"
    speech.mkdir(parents=True)
    for number in range(3):
        clip = noise(8000 + 3000 * number, number)
        soundfile.write(speech / f"{number}.wav", clip, 16000)
    (folder / "lists").mkdir()
    for name, template in {
        "list.txt": "HERE/speech/{}.wav\n",
        "list.scp": "clip{} HERE/speech/{}.wav\n",
    }.items():
        lines = [template.format(*[n] * template.count("{}")) for n in (0, 1)]
        text = "".join(lines).replace("HERE", str(folder))
        (folder / "lists" / name).write_text(text)
    for suffix, options in FORMATS.items():
        path = folder / "audio" / suffix / f"clip.{suffix}"
        path.parent.mkdir(parents=True)
        soundfile.write(path, noise(16000, 9), 16000, **options)
        soundfile.write(path.with_name("good.wav"), noise(4000, 5), 16000)
    save_encoder(folder / "encoder", tiny_encoder(), {"pretraining": {}})
    write_classifier(folder / "classifier", tiny_trained())
    published = folder / "published"
    published.mkdir()
    list(models(published))
    (folder / "project").mkdir()
    write_run(folder / "project")
    write_table(folder / "project/corpus", "xyz")
    # Large enough for ten folds, in each of which every class is validated.
    calls = folder / "corpora/calls"
    calls.mkdir(parents=True)
    for number in range(60):
        clip = noise(3200 + 10 * number, number)
        soundfile.write(calls / f"u{number:02d}.wav", clip, 16000)
    write_table(calls, "xy")
    shutil.copytree(RESULTS, folder / "results")
    quiet(["manifest", str(speech), "-o", str(folder / "speech.json")])
    encoder = ["--encoder", str(folder / "encoder")]
    for kind in ("npy", "store"):
        quiet(
            ["extract", str(speech), *encoder, "--format", kind]
            + ["-o", str(folder / kind)]
        )


def write_table(corpus: Path, classes: str) -> None:
    """``labels.csv`` of the clips of a folder: classes in turn, 4 speakers."""
    names = sorted(path.name for path in corpus.glob("*.wav"))
    rows = [
        f"{name},{classes[number % len(classes)]},{number % 4}"
        for number, name in enumerate(names)
    ]
    text = "\n".join(["path,label,speaker", *rows, ""])
    (corpus / "labels.csv").write_text(text)


def build_checkpoints(folder: Path) -> None:
    """Pre-train two updates of three: what a resumed run reads."""
    words = pretraining_words(optimizer_step_limit=2)
    run = str(folder / "pretraining")
    words = [w.replace("HERE", str(folder)).replace("OUT", run) for w in words]
    assert pretraining(words) == 0
    # Trials are seeded by names: no time may be in them.
    for number, path in enumerate(sorted(Path(run, "save").glob("CKPT*"))):
        path.rename(path.with_name(f"CKPT+{number}"))


def quiet(argv: list[str]) -> None:
    status = cli.main(argv)
    assert status == 0, argv
