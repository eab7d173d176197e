"""Write features of audio files: one file each, or one store.

examples:
  e2v extract a.wav b.flac --encoder results/pretrain/encoder -o features
  e2v extract /data/speech --encoder emotion2vec/emotion2vec_base \\
      --granularity utterance --layer mean_last_4 --format store -o features
  torchrun --nproc_per_node 4 -m speechbrain_e2v.cli extract list.txt \\
      --encoder encoders/base -o features

A run that was stopped goes on where it was; files that cannot be used are
named at the end, and the exit status is then 1.
"""

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from speechbrain_e2v.files.lock import sole_writer
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.extraction import Extraction, Report
from speechbrain_e2v.inference.extractor import GRANULARITIES, Emotion2vec
from speechbrain_e2v.inference.feature_files import (
    FeatureFiles,
    StoreFiles,
    demand_same_settings,
)
from speechbrain_e2v.inference.shard import Shard
from speechbrain_e2v.lobes.batching import checked_layer, parse_layer
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.published.encoder_folder import weights_digest

FORMATS = ("npy", "npz", "store")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of `e2v extract`."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="audio files, folders, lists (.txt, .scp), manifests (.json)",
    )
    parser.add_argument(
        "--encoder",
        required=True,
        metavar="SRC",
        help="encoder folder, published file or folder, or hub id",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR"
    )
    parser.add_argument(
        "--granularity",
        choices=GRANULARITIES,
        default="frame",
        help="frame: [T, D], 50 a second; utterance: their mean, [D] "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--layer",
        type=parse_layer,
        default="last",
        help="last, mean_last_4, all (layers in front: [L, T, D]), the index "
        "of a block, or several to average: [-4,-3,-2,-1] (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="npy",
        help="npy, npz (with times), or one memory-mapped store with an "
        "index (default: %(default)s)",
    )
    parser.add_argument(
        "--channel",
        type=int,
        metavar="N",
        help="read this channel, the first is 0 (default: their mean)",
    )
    parser.add_argument(
        "--pad_short",
        action="store_true",
        help="fill clips under 25 ms up with zeros",
    )
    parser.add_argument(
        "--window",
        type=float,
        metavar="SECONDS",
        help="approximate attention, so far to each side, for very long audio "
        "(default: all frames, exact)",
    )
    parser.add_argument(
        "--batch_seconds",
        type=float,
        help="audio computed together; changes speed and memory only "
        "(default: what is fast on the device)",
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: a GPU)")
    parser.add_argument(
        "--offline", action="store_true", help="hub models: cache only"
    )


def run(arguments: Namespace) -> int:
    """Extract; files that cannot be used are named at the end, and give 1."""
    shard = Shard.from_environment()
    clips = list_clips(arguments.inputs, arguments.channel)
    model = Emotion2vec.from_pretrained(
        arguments.encoder, _device(arguments, shard), arguments.offline
    )
    layer = checked_layer(arguments.layer, model.encoder.num_layers)
    model.check(arguments.granularity, layer, arguments.window)
    model.batches([], arguments.batch_seconds)  # checks the argument
    extraction = Extraction(
        model,
        arguments.granularity,
        layer,
        arguments.pad_short,
        arguments.window,
        arguments.batch_seconds,
    )
    begin = time.perf_counter()
    with sole_writer(arguments.output), shard:
        settings = _settings(arguments, extraction)
        if shard.rank == 0:
            demand_same_settings(arguments.output, settings)
        writer = _writer(arguments, settings, shard)
        report = extraction.run(clips, writer, shard)
        writer.close()
        # Gathering waits for all: then every part is closed.
        reports = shard.gather(report)
        if shard.rank == 0:
            writer.finish([clip.name for clip in clips])
            _print(arguments.output, reports, time.perf_counter() - begin)
    return 1 if any(each.errors for each in reports) else 0


def _device(arguments: Namespace, shard: Shard) -> str | None:
    if arguments.device or shard.world == 1 or not torch.cuda.is_available():
        return arguments.device
    return f"cuda:{shard.local_rank % torch.cuda.device_count()}"


def _settings(arguments: Namespace, extraction: Extraction) -> dict:
    """All that features depend on, the clips excepted."""
    model = extraction.model
    return {
        "format": arguments.format,
        "granularity": extraction.granularity,
        "layer": extraction.layer,
        "channel": arguments.channel,
        "pad_short": extraction.pad_short,
        "window_seconds": extraction.window,
        "weights_sha256": weights_digest(model.encoder),
        "hop_samples": model.hop,
        "receptive_field_samples": model.min_samples,
        "sample_rate": SAMPLE_RATE,
        "about": {
            key: model.card[key]
            for key in ("name", "origin", "source", "licence")
            if key in model.card
        },
    }


def _writer(
    arguments: Namespace, settings: dict, shard: Shard
) -> FeatureFiles | StoreFiles:
    if arguments.format == "store":
        return StoreFiles(
            arguments.output, settings, arguments.granularity, shard.rank
        )
    suffix = f".{arguments.format}"
    return FeatureFiles(arguments.output, settings, suffix, shard.rank)


def _print(output: Path, reports: list[Report], elapsed: float) -> None:
    seconds = sum(report.seconds for report in reports)
    line = (
        f"{output}: {sum(report.written for report in reports)} clips, "
        f"{seconds / 3600:.2f} h of audio in {elapsed:.1f} s "
        f"({seconds / elapsed:.1f} times real time)"
    )
    if there := sum(report.there for report in reports):
        line += f"; {there} were there already"
    if changed := sum(report.changed for report in reports):
        line += f"; {changed} were made of other content and are made again"
    print(line)
    errors = [error for report in reports for error in report.errors]
    if errors:
        print(f"e2v: {len(errors)} could not be used:", file=sys.stderr)
    for error in errors:
        print(f"  {error}", file=sys.stderr)
