"""Convert published checkpoints to encoder folders and back.

examples:
  e2v convert emotion2vec/emotion2vec_base encoders/emotion2vec_base
  e2v convert emotion2vec_plus_large/ encoders/plus_large
  e2v convert results/pretrain/encoder my_model.pt --to fairseq
"""

import argparse
from pathlib import Path
from typing import Any

from speechbrain_e2v.published.convert import LAYOUTS, convert
from speechbrain_e2v.published.load import Pretrained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this tool."""
    parser.add_argument(
        "source",
        metavar="SRC",
        help="file, folder or hub id: fairseq .pt, FunASR folder, encoder "
        "folder, emotion2vec/emotion2vec_base",
    )
    parser.add_argument(
        "destination", metavar="DEST", help="folder; with --to fairseq a file"
    )
    parser.add_argument(
        "--to",
        choices=LAYOUTS,
        help="write a published layout instead of an encoder folder",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DEST")
    parser.add_argument(
        "--offline",
        action="store_true",
        help="take hub models from the cache only",
    )


def run(args: argparse.Namespace) -> int:
    """Convert and print what was done."""
    model, parity = convert(
        args.source,
        args.destination,
        args.to,
        args.overwrite,
        args.offline,
    )
    layout = args.to or "encoder folder"
    print(f"{model.layout} -> {layout}: {Path(args.destination)}")
    print("\n".join(report(model, parity)))
    return 0


def report(model: Pretrained, parity: dict[str, Any]) -> list[str]:
    """Describe a conversion in lines of text."""
    card = model.card
    parameters = sum(p.numel() for p in model.encoder.parameters())
    lines = [
        f"model       {card.get('name', 'unnamed')}",
        f"origin      {card.get('origin', card.get('source', 'unknown'))}",
        f"licence     {card.get('licence', 'unknown')}",
        f"parameters  {parameters:,}",
    ]
    if "source_sha256" in card:
        lines.append(f"source      sha256 {card['source_sha256']}")
    lines.append(f"heard       {_corpora(card, 'pretraining')}")
    if card.get("finetuning"):
        lines.append(f"tuned on    {_corpora(card, 'finetuning')}")
    if card.get("labels"):
        lines.append(f"labels      {', '.join(card['labels'])}")
    if model.left_out:
        lines.append("left out, as an encoder does not need it:")
        lines += [f"  {line}" for line in model.left_out]
    lines += [f"note: {note}" for note in card.get("notes", ())]
    features = parity["features"]
    lines += [
        "parity (the copy was read back and is equal):",
        f"  weights   sha256 {parity['weights_sha256']}",
        f"  features  {features['shape']} on the fixed signal, mean "
        f"{features['mean']:.6f}, std {features['std']:.6f}",
        f"            pooled, first five {features['first']}",
    ]
    if "probabilities" in parity:
        scores = parity["probabilities"].items()
        best = sorted(scores, key=lambda pair: -pair[1])[:3]
        text = ", ".join(f"{name} {score:.5f}" for name, score in best)
        lines.append(f"  head      {text}, ...")
    if "licence_notice" in card:
        lines.append(card["licence_notice"])
    return lines


def _corpora(card: dict[str, Any], stage: str) -> str:
    if stage not in card:
        return "not known: treat every corpus as heard"
    return ", ".join(card[stage]) or "nothing"
