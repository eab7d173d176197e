"""Check an installation: versions, audio, devices, and a one-second test.

With --upstreams: whether these load, how large they are, and how far a clip's
features depend on what it is batched with.

examples:
  e2v doctor
  e2v doctor --upstreams mfcc wavlm-base --audio a.wav b.wav
"""

import argparse
import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

OLDEST, NEWEST = (3, 10), (3, 14)
REQUIRED = (
    "torch",
    "torchaudio",
    "speechbrain",
    "hyperpyyaml",
    "numpy",
    "scipy",
    "scikit-learn",
    "soundfile",
    "safetensors",
    "matplotlib",
)
EXTRAS = {
    "onnx": ("onnx", "to export classifiers"),
    "onnxruntime": ("onnx", "to check exported classifiers"),
    "onnxscript": ("onnx", "to export classifiers"),
    "opensmile": ("egemaps", "for the eGeMAPS baseline"),
    "transformers": ("hf", "for encoders of others, and text by BERT"),
}
"""Optional distribution -> the extra that installs it, and what for."""


class Finding(NamedTuple):
    """What one check found and, unless "ok", what to do."""

    state: str  # "ok", "note" (works, but something is missing) or "BAD"
    what: str
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v doctor`."""
    parser.add_argument(
        "--upstreams",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of hparams/upstreams, or yaml files",
    )
    parser.add_argument(
        "--audio",
        nargs="+",
        default=[],
        metavar="FILE",
        help="clips to try upstreams on; without them it is noise",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what every check finds; 1 when something is broken."""
    broken = 0
    checks: tuple[Callable[[], Iterator[Finding]], ...]
    checks = (python, packages, pair, audio, ffmpeg, device, extras, self_test)
    if arguments.upstreams:
        checks = (partial(upstreams, arguments.upstreams, arguments.audio),)
    for check in checks:
        for finding in check():
            print(f"{finding.state:<5} {finding.what:<12} {finding.detail}")
            broken += finding.state == "BAD"
    if broken:
        print(f"e2v: {broken} of the checks above failed", file=sys.stderr)
    return 1 if broken else 0


def python() -> Iterator[Finding]:
    """Which interpreter and system this is."""
    detail = f"{platform.python_version()} on {platform.platform()}"
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        yield Finding("ok", "python", detail)
        return
    oldest, newest = (".".join(map(str, v)) for v in (OLDEST, NEWEST))
    detail += f": tested on {oldest} to {newest}, use one of those"
    yield Finding("note", "python", detail)


def packages() -> Iterator[Finding]:
    """Whether what the package needs is installed."""
    versions = {name: version(name) for name in REQUIRED}
    for name, found in versions.items():
        if found is None:
            yield Finding("BAD", name, f"missing: pip install {name}")
    there = [f"{name} {v}" for name, v in versions.items() if v]
    yield Finding("ok", "packages", ", ".join(there))


def version(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def pair() -> Iterator[Finding]:
    """Whether torch and torchaudio belong together."""
    torch, torchaudio = version("torch"), version("torchaudio")
    if torch is None or torchaudio is None:
        return
    detail = f"torch {torch}, torchaudio {torchaudio}"
    if not same_release(torch, torchaudio):
        yield Finding(
            "BAD",
            "torch pair",
            f"{detail}: install the same release of both, from one index",
        )
        return
    try:
        importlib.import_module("torchaudio")
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding(
            "BAD",
            "torch pair",
            f"{detail}: torchaudio cannot be imported ({first_line(error)}); "
            "install both again, from one index",
        )
        return
    yield Finding("ok", "torch pair", detail)


def same_release(torch_version: str, torchaudio_version: str) -> bool:
    """Compare two versions: major, minor and, where both say, the build.

    >>> same_release("2.11.0+cpu", "2.11.1"), same_release("2.11.0", "2.10.0")
    (True, False)
    >>> same_release("2.11.0+cpu", "2.11.0+cu128")
    False
    """
    (one, build), (other, other_build) = (
        v.partition("+")[::2] for v in (torch_version, torchaudio_version)
    )
    same_build = build == other_build or not (build and other_build)
    return one.split(".")[:2] == other.split(".")[:2] and same_build


def audio() -> Iterator[Finding]:
    """Which audio files can be read."""
    try:
        soundfile = importlib.import_module("soundfile")
    except (ImportError, OSError) as error:
        detail = f"{first_line(error)}; pip install --force-reinstall soundfile"
        yield Finding("BAD", "audio", detail)
        return
    formats = soundfile.available_formats()
    wanted = ("WAV", "FLAC", "OGG", "MP3", "AIFF")
    detail = f"{soundfile.__libsndfile_version__} reads " + " ".join(
        name for name in wanted if name in formats
    )
    missing = [name for name in wanted if name not in formats]
    if missing:
        detail += f", not {' '.join(missing)}: a newer soundfile does"
    yield Finding("note" if missing else "ok", "audio", detail)


def ffmpeg() -> Iterator[Finding]:
    """Whether video and rare audio containers can be converted."""
    program = shutil.which("ffmpeg")
    if program is None:
        detail = "not found: needed only to take audio out of video files"
        yield Finding("note", "ffmpeg", detail)
        return
    done = subprocess.run(
        [program, "-version"], capture_output=True, text=True, check=False
    )
    state = "BAD" if done.returncode else "ok"
    detail = (done.stdout or done.stderr).strip().split("\n")[0]
    yield Finding(state, "ffmpeg", f"{detail[:60]} ({program})")


def device() -> Iterator[Finding]:
    """Where the model would run."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        yield Finding("BAD", "device", first_line(error))
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        size = properties.total_memory / 2**30
        yield Finding(
            "ok", f"cuda:{index}", f"{properties.name}, {size:.0f} GiB"
        )
    if not torch.cuda.is_available():
        detail = "no GPU is visible"
        if torch.version.cuda:
            detail += f" (torch was built for CUDA {torch.version.cuda})"
        yield Finding("note", "device", f"{detail}: the CPU is used")
    count = f"{torch.get_num_threads()} threads on {os.cpu_count()} cores"
    yield Finding("ok", "cpu", count + bf16_remark(torch))


def bf16_remark(torch: ModuleType) -> str:
    """Say so where a processor only emulates bf16.

    >>> import types
    >>> flags = {"architecture": "x86_64", "avx512_bf16": True}
    >>> cpu = types.SimpleNamespace(get_capabilities=lambda: flags)
    >>> bf16_remark(types.SimpleNamespace(cpu=cpu))
    ''
    """
    # Older releases of torch cannot be asked.
    flags: dict = getattr(torch.cpu, "get_capabilities", dict)()
    can = flags.get("avx512_bf16") or flags.get("amx_bf16")
    if can or flags.get("architecture") != "x86_64":
        return ""
    return "; no bf16 instructions: bf16 is slower than fp32 here"


def extras() -> Iterator[Finding]:
    """Which optional packages are there."""
    missing = {n: why for n, why in EXTRAS.items() if version(n) is None}
    found = [f"{n} {version(n)}" for n in EXTRAS if n not in missing]
    if found:
        yield Finding("ok", "extras", ", ".join(found))
    for name, (extra, purpose) in missing.items():
        command = f"pip install 'speechbrain_e2v[{extra}]'"
        yield Finding("note", name, f"needed only {purpose}: {command}")


def self_test() -> Iterator[Finding]:
    """Read a generated second of audio and extract features of it."""
    begin = time.perf_counter()
    try:
        detail = one_second()
    # Whatever a broken installation raises is what the user came to see.
    except Exception as error:  # noqa: BLE001
        detail = f"{type(error).__name__}: {first_line(error)}"
        yield Finding("BAD", "self-test", detail)
        return
    elapsed = time.perf_counter() - begin
    yield Finding("ok", "self-test", f"{detail}, {elapsed:.1f} s")


def one_second() -> str:
    """Write, read and encode one second; return what was done."""
    import numpy as np
    import soundfile
    import torch

    from speechbrain_e2v.inference.extractor import Emotion2vec
    from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Emotion2vecEncoder(
            embed_dim=48,
            num_heads=4,
            prenet_depth=1,
            depth=2,
            conv_channels=32,
            pos_conv_groups=4,
        )
    model = Emotion2vec(encoder)
    time_axis = np.arange(44100) / 44100
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_axis)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tone.flac"
        soundfile.write(path, np.stack([tone, tone], axis=1), 44100)
        paths = [path, path]
        both = model.extract(paths, granularity="frame", batch_seconds=2)
        alone = model.extract(path, granularity="frame")
    frames = tuple(alone.values.shape)
    error = float((both[0].values - alone.values).abs().max())
    if frames != (49, 48) or not error < 1e-5:
        raise RuntimeError(
            f"features are {frames}, and differ by {error:.1e} in a batch"
        )
    return f"44.1 kHz stereo flac to {frames} features, in a batch as alone"


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type."""
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def upstreams(names: Sequence[str], files: Sequence[str]) -> Iterator[Finding]:
    """Largest difference between clips in a batch and the same clips alone."""
    import torch

    from speechbrain_e2v.corpora.audio import read_audio
    from speechbrain_e2v.downstream.upstreams.by_name import upstream_by_name
    from speechbrain_e2v.downstream.upstreams.leaks import measure_leak

    if files:
        clips = [read_audio(file) for file in files]
    else:
        noise = torch.Generator().manual_seed(0)
        clips = [
            0.1 * torch.randn(count, generator=noise)
            for count in (16000, 24000, 37000)
        ]
    for name in names:
        try:
            upstream = upstream_by_name(name)
            leak = measure_leak(upstream, clips)
        # Whatever a broken installation raises is what the user came to see.
        except Exception as error:  # noqa: BLE001
            yield Finding("BAD", name, first_line(error))
            continue
        count = upstream.description.get("parameters", 0)
        yield Finding(
            "ok" if leak.as_run <= 1e-4 * max(1.0, leak.size) else "BAD",
            name,
            f"{count / 1e6:.2f} M parameters; |batch - single| "
            f"{leak.as_run:.1e} as run here, {leak.padded:.1e} in a padded "
            f"batch, of features up to {leak.size:.1e}",
        )
