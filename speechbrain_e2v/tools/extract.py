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
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_e2v.corpora.audio import AudioError
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.clips import TooShort, measure
from speechbrain_e2v.inference.extractor import GRANULARITIES, Emotion2vec
from speechbrain_e2v.inference.feature_files import FeatureFiles
from speechbrain_e2v.inference.layers import checked_layer
from speechbrain_e2v.inference.read_ahead import read_ahead
from speechbrain_e2v.inference.settings import demand_same_settings
from speechbrain_e2v.inference.shard import Shard
from speechbrain_e2v.inference.store_writer import StoreWriter
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE
from speechbrain_e2v.published.encoder_folder import weights_digest

FORMATS = ("npy", "npz", "store")


def add_arguments(parser):
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
        type=_layer,
        default="last",
        help="last, mean_last_4, all (layers in front: [L, T, D]) or the "
        "index of a block (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="npy",
        help="npy, npz (with times), or one memory-mapped store with an "
        "index (default: %(default)s)",
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


def run(arguments):
    """Extract; files that cannot be used are named at the end.

    Returns
    -------
    int
        0, or 1 when a file could not be used.
    """
    shard = Shard.from_environment()
    clips = list_clips(arguments.inputs)
    model = Emotion2vec.from_pretrained(
        arguments.encoder, _device(arguments, shard), arguments.offline
    )
    arguments.layer = checked_layer(arguments.layer, model.encoder.num_layers)
    model.check(arguments.granularity, arguments.layer, arguments.window)
    model.batches([], arguments.batch_seconds)  # checks the argument
    settings = _settings(arguments, model)
    demand_same_settings(arguments.output, settings)
    writer = _writer(arguments, settings, shard)
    mine = [c for c in shard.part(clips) if not writer.has(c.name)]
    begin = time.perf_counter()
    done, bad = _extract(arguments, model, mine, writer, shard.rank > 0)
    writer.close()
    # Gathering waits for all: then every part is closed.
    reports = shard.gather((done, bad, len(mine)))
    if shard.rank == 0:
        writer.finish([clip.name for clip in clips])
        _report(arguments, len(clips), reports, time.perf_counter() - begin)
    shard.leave()
    return 1 if any(bad for _, bad, _ in reports) else 0


def _layer(text):
    return int(text) if text.lstrip("-").isdigit() else text


def _device(arguments, shard):
    if arguments.device or shard.world == 1 or not torch.cuda.is_available():
        return arguments.device
    return f"cuda:{shard.local_rank % torch.cuda.device_count()}"


def _settings(arguments, model):
    return {
        "format": arguments.format,
        "granularity": arguments.granularity,
        "layer": arguments.layer,
        "window_seconds": arguments.window,
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


def _writer(arguments, settings, shard):
    if arguments.format == "store":
        return StoreWriter(
            arguments.output, settings, arguments.granularity, shard.rank
        )
    return FeatureFiles(arguments.output, f".{arguments.format}")


def _extract(arguments, model, clips, writer, quiet):
    """Write what can be written; return seconds of audio and errors."""
    minimum = 1 if arguments.pad_short else model.min_samples
    lengths = measure(clips, minimum, progress=not quiet)
    bad = [str(outcome) for outcome in lengths if not isinstance(outcome, int)]
    usable = [
        (clip, length)
        for clip, length in zip(clips, lengths, strict=True)
        if isinstance(length, int)
    ]
    batches = [
        [usable[index][0] for index in batch]
        for batch in model.batches(
            [length for _, length in usable], arguments.batch_seconds
        )
    ]
    seconds = 0.0
    with tqdm(
        total=round(sum(length for _, length in usable) / SAMPLE_RATE),
        desc="audio",
        unit="s",
        disable=quiet,
    ) as bar:
        for batch, outcomes in read_ahead(partial(_read, minimum), batches):
            read = [
                (clip, outcome)
                for clip, outcome in zip(batch, outcomes, strict=True)
                if not isinstance(outcome, ValueError)
            ]
            bad += [str(o) for o in outcomes if isinstance(o, ValueError)]
            found = _encode(arguments, model, read) if read else []
            for (clip, _), features in zip(read, found, strict=True):
                writer.write(clip.name, features)
                seconds += features.seconds
            bar.set_postfix(clips=len(read), bad=len(bad), refresh=False)
            bar.update(round(seconds) - bar.n)
    return seconds, bad


def _read(minimum, batch):
    return [_waveform(clip, minimum) for clip in batch]


def _waveform(clip, minimum):
    # Headers were in order; only decoding shows whether the samples are.
    try:
        waveform = clip.read()
    except AudioError as error:
        return error
    if len(waveform) < minimum:
        return TooShort(clip.source, len(waveform), minimum)
    return waveform


def _encode(arguments, model, read):
    return model.encode(
        [waveform for _, waveform in read],
        [clip.name for clip, _ in read],
        arguments.granularity,
        arguments.layer,
        arguments.pad_short,
        arguments.window,
    )


def _report(arguments, total, reports, elapsed):
    seconds = sum(done for done, _, _ in reports)
    bad = [error for _, errors, _ in reports for error in errors]
    there = total - sum(tried for _, _, tried in reports)
    line = (
        f"{arguments.output}: {total - there - len(bad)} clips, "
        f"{seconds / 3600:.2f} h of audio in {elapsed:.1f} s "
        f"({seconds / elapsed:.1f} times real time)"
    )
    if there:
        line += f"; {there} were there already"
    print(line)
    if bad:
        print(f"e2v: {len(bad)} could not be used:", file=sys.stderr)
    for error in bad:
        print(f"  {error}", file=sys.stderr)
