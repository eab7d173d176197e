"""Writes the generated corpus.

> python -m speechbrain_e2v.corpora.synthetic --output DIR
"""

import argparse
import sys
import time
from collections.abc import Sequence

from speechbrain_e2v.corpora.synthetic.corpus import write_corpus
from speechbrain_e2v.corpora.synthetic.voice import SAMPLE_RATE


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m speechbrain_e2v.corpora.synthetic",
        description="Writes a generated, speech-like corpus with six "
        "emotions. Scores on it are not results on speech.",
        epilog="example: python -m speechbrain_e2v.corpora.synthetic "
        "--output results/synthetic --speakers 8",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--output", required=True, help="folder to write to")
    parser.add_argument("--speakers", type=int, default=8, help="1 to 100")
    parser.add_argument(
        "--utterances",
        type=int,
        default=36,
        help="per speaker; a multiple of 6 has all emotions equally often",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        nargs=2,
        default=(1.2, 3.0),
        metavar=("SHORTEST", "LONGEST"),
        help="length of an utterance",
    )
    parser.add_argument("--seed", type=int, default=0, help="another corpus")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    options = build_parser().parse_args(arguments)
    start = time.perf_counter()
    try:
        labels = write_corpus(
            options.output,
            options.speakers,
            options.utterances,
            tuple(options.seconds),
            options.seed,
            progress=True,
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    took = time.perf_counter() - start
    lines = labels.read_text(encoding="utf-8").splitlines()[1:]
    paths = [labels.parent / line.split(",")[0] for line in lines]
    # 44 bytes of header, two bytes a sample.
    speech = sum(p.stat().st_size - 44 for p in paths) / 2 / SAMPLE_RATE
    print(
        f"{labels}: {len(paths)} utterances, {speech / 60:.1f} minutes, "
        f"generated in {took:.1f} s ({speech / took:.0f} times real time)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
