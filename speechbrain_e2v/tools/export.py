"""Write a classifier that SpeechBrain loads by itself, or an ONNX file.

SRC is the output folder of a recipe, an emotion2vec+ folder or hub id, or,
for --onnx, a classifier folder too.

examples:
  e2v export recipes/EmoDB/results/linear/random_kfold results/my_classifier
  e2v export emotion2vec/emotion2vec_plus_base results/plus_base
  e2v export results/my_classifier results/my_classifier.onnx --onnx
"""

import argparse
from pathlib import Path

from speechbrain_e2v.downstream.export import TOLERANCE, trained_classifier
from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    check_destination,
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.onnx import export_onnx
from speechbrain_e2v.inference.trained import TrainedClassifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `e2v export`."""
    parser.add_argument("source", metavar="SRC")
    parser.add_argument(
        "destination",
        type=Path,
        metavar="DEST",
        help="new folder; with --onnx a new file",
    )
    parser.add_argument(
        "--onnx", action="store_true", help="write one ONNX file instead"
    )
    parser.add_argument(
        "--encoder", metavar="SRC", help="where the run's encoder is now"
    )
    parser.add_argument(
        "--fold", help="number or name of a fold (default: best validation)"
    )
    parser.add_argument("--seed", type=int, help="of the training")
    parser.add_argument(
        "--no_calibration",
        action="store_true",
        help="fit no temperature",
    )
    parser.add_argument(
        "--data_folder",
        metavar="DIR",
        help="where the run's corpus is now; its test utterances must give "
        "the posteriors that the run recorded",
    )
    parser.add_argument(
        "--device",
        default="cpu",
        help="on which they are computed (default: %(default)s)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="largest difference of a posterior (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace DEST")
    parser.add_argument(
        "--offline", action="store_true", help="hub models: cache only"
    )


def run(arguments: argparse.Namespace) -> int:
    """Export and say what was taken."""
    _check(arguments)
    if (Path(arguments.source) / DESCRIPTION).is_file():
        trained = read_classifier(arguments.source)
    else:
        trained = trained_classifier(
            arguments.source,
            arguments.encoder,
            arguments.fold,
            arguments.seed,
            not arguments.no_calibration,
            arguments.offline,
            data_folder=arguments.data_folder,
            device=arguments.device,
            tolerance=arguments.tolerance,
        )
    print("\n".join(report(trained)))
    if arguments.onnx:
        difference = export_onnx(trained, arguments.destination)
        print(f"onnxruntime  differs from PyTorch by {difference:.1e}")
    else:
        write_classifier(arguments.destination, trained, arguments.overwrite)
    print(arguments.destination)
    return 0


def _check(arguments):
    destination = arguments.destination
    if arguments.onnx != (destination.suffix == ".onnx"):
        raise ValueError(
            f"{destination}: --onnx and a name that ends in .onnx belong "
            "together."
        )
    if not arguments.onnx:
        check_destination(destination, arguments.overwrite)
    elif destination.exists() and not arguments.overwrite:
        raise FileExistsError(
            f"{destination} is there already: add --overwrite or give "
            "another name."
        )


def report(trained: TrainedClassifier) -> list[str]:
    """Describe a classifier in lines of text."""
    about = trained.about
    lines = [
        f"kind         {about.get('kind', 'classifier')}",
        f"classes      {', '.join(label.text for label in trained.labels)}",
    ]
    if "fold" in about:
        fold = about["fold"]
        lines.append(
            f"head         fold {fold['number']} ({fold['name']}), seed "
            f"{fold['seed']}: {fold['chosen']}, validation WA "
            f"{fold['selection']['valid_wa']:.2f} %"
        )
    if "compared" in about:
        compared = about["compared"]
        lines.append(
            f"compared     {compared['test_utterances']} test utterances: "
            f"posteriors within {compared['largest_difference']:.1g} of the "
            "run's"
        )
    calibration = about.get("calibration")
    if calibration:
        before, after = (100 * value for value in calibration["ece"])
        lines.append(
            f"calibration  temperature {calibration['temperature']:.3f}; "
            f"expected calibration error {before:.1f} % -> {after:.1f} % on "
            f"{calibration['utterances']} validation utterances"
        )
    else:
        lines.append("calibration  none (temperature 1)")
    return lines
