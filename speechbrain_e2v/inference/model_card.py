"""The README of a classifier folder, made of ``classifier.json``."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from speechbrain_e2v.files.foreign_text import (
    markdown_cell,
    without_local_folders,
)

_USE = """\
```python
from speechbrain.inference.classifiers import EncoderClassifier

classifier = EncoderClassifier.from_hparams(source="{name}")
log_posteriors, score, index, label = classifier.classify_file("speech.wav")
embedding = classifier.encode_batch(wav, lengths)  # [B, 1, {width}]
```

It needs `pip install speechbrain` and the package `speechbrain_e2v`, and no
network. `speechbrain_e2v.inference.EmotionClassifier` reads the same folder
and adds restricted and merged labels, a reject threshold and batches of
files: `e2v classify speech.wav --model {name}`.
"""


def model_card(description: Mapping, name: str = "path/to/this/folder") -> str:
    """Write the model card: Markdown with the hub's yaml header.

    `description` is the content of ``classifier.json``; `name`, a path or hub
    id, is shown in the example.
    """
    header = _header(description)
    description = _as_markdown(description)
    width = _width(description) + description["hidden"]
    results = description.get("results")
    title = "emotion2vec classifier"
    if results:
        title += f", {results['corpus']}"
    else:
        title += f", {description['encoder_card'].get('name', 'published')}"
    parts = [
        header,
        f"# {title}\n",
        _USE.format(name=name, width=width),
        _labels(description["labels"]),
        _embedding(description),
    ]
    if results:
        parts.append(_results(description, results))
    parts += [_calibration(description), _origin(description["encoder_card"])]
    return "\n".join(parts)


def _as_markdown(value: Any) -> Any:
    """Every text of a description as it reads in Markdown: others wrote it."""
    if isinstance(value, Mapping):
        return {_as_markdown(k): _as_markdown(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_markdown(item) for item in value]
    if isinstance(value, str):
        return markdown_cell(without_local_folders(value))
    return value


def _header(description: Mapping) -> str:
    header: dict = {
        "library_name": "speechbrain",
        "pipeline_tag": "audio-classification",
        "tags": ["speechbrain", "emotion2vec", "speech-emotion-recognition"],
    }
    licence = description["encoder_card"].get("licence", "")
    if licence == "MIT":
        header["license"] = "mit"
    elif licence and not licence.startswith("unknown"):
        header |= {"license": "other", "license_name": licence}
    results = description.get("results")
    if results:
        metrics = [
            {
                "type": kind,
                "name": name,
                "value": round(results["pooled"][key], 2),
            }
            for kind, name, key in (
                ("accuracy", "WA (%)", "wa"),
                ("recall", "UA (%)", "ua"),
                ("f1", "WF1 (%)", "wf1"),
            )
        ]
        header["model-index"] = [
            {
                "name": f"emotion2vec probe, {results['corpus']}",
                "results": [
                    {
                        "task": {"type": "audio-classification"},
                        "dataset": {
                            "name": results["corpus"],
                            "type": results["corpus"],
                        },
                        "metrics": metrics,
                    }
                ],
            }
        ]
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    return f"---\n{text}---\n"


def _labels(labels: Sequence[Mapping]) -> str:
    rows = "\n".join(
        f"| {i} | {row['text']} | {row['id']} | {row['published']} |"
        for i, row in enumerate(labels)
    )
    return (
        "## Labels\n\n| index | SpeechBrain | stable id | published |\n"
        f"|---|---|---|---|\n{rows}\n"
    )


def _width(description: Mapping) -> int:
    # Folders of format 1 do not say it.
    return description.get("width") or description["encoder"]["embed_dim"]


def _layers(description: Mapping) -> str:
    layer = description["layer"]
    if isinstance(layer, list):
        return f"the mean of encoder blocks {', '.join(map(str, layer))}"
    return {
        "last": "the last encoder block",
        "mean_last_4": "the mean of the last four encoder blocks",
        "weighted": "a learned mean of all encoder blocks",
        "all": "all encoder blocks, one after the other",
    }.get(layer, f"encoder block {layer}")


def _embedding(description: Mapping) -> str:
    mean, hidden = _width(description), description["hidden"]
    text = (
        f"## Embedding\n\nThe first {mean} numbers of `encode_batch` are the "
        f"mean over frames of {_layers(description)} (counted from 0), the "
        "usual utterance embedding: use those for similarity, "
        "retrieval or another classifier."
    )
    if hidden:
        text += (
            f" The last {hidden} are the mean over frames of the probe's "
            "hidden layer. The classifier reads only these: it looks at "
            "frames before it averages, so no classifier on the first "
            f"{mean} alone could give the same posteriors."
        )
    else:
        text += " The classifier reads exactly these."
    return text + (
        "\n`classifier.mods.classifier(embedding)` classifies stored "
        "embeddings again.\n"
    )


def _results(description: Mapping, results: Mapping) -> str:
    fold, protocol = description["fold"], results["protocol"]
    interval = results.get("interval95") or {}
    rows = []
    for key, name in (("wa", "WA"), ("ua", "UA"), ("wf1", "WF1")):
        spread = results["fold_spread"][key]
        bounds = interval.get(key)
        bounds = f"{bounds[0]:.1f} to {bounds[1]:.1f}" if bounds else "-"
        rows.append(
            f"| {name} | {results['pooled'][key]:.2f} | "
            f"{spread['mean']:.2f} +- {spread['sd']:.2f} | {bounds} | "
            f"{fold['test_scores'][key]:.2f} |"
        )
    marks = "".join(f"* {mark}\n" for mark in protocol["marks"])
    return (
        f"## Results\n\n{results['corpus']}, protocol `{protocol['name']}`: "
        f"{protocol['description']}; {protocol['n_folds']} folds, "
        f"{results['n_predictions']} predictions, percent.\n\n"
        "| | all folds pooled | mean +- sd over folds | 95 % over speakers "
        "| this head, its test fold |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"{marks}\nThe folder holds **one** head of this cross-validation: "
        f"fold {fold['number']} ({fold['name']}), seed {fold['seed']}, chosen "
        f"as {fold['chosen']} (validation WA "
        f"{fold['selection']['valid_wa']:.2f} %); trained on "
        f"{fold['n_train']} utterances. Code: "
        f"speechbrain_e2v {results['versions']['speechbrain_e2v']}, commit "
        f"{results.get('commit') or 'unknown'}.\n"
    )


def _calibration(description: Mapping) -> str:
    report = description.get("calibration")
    if report is None:
        return (
            "## Calibration\n\nNone: the probabilities are as the head gives "
            "them (temperature 1).\n"
        )
    before, after = (100 * value for value in report["ece"])
    return (
        f"## Calibration\n\nTemperature {report['temperature']:.3f}, fitted "
        f"on the {report['utterances']} {report['data']}; the posteriors of "
        "every interface are divided by it. Expected calibration error there "
        f"(15 bins): {before:.1f} % before, {after:.1f} % after; "
        f"cross-entropy {report['nll'][0]:.3f} before, "
        f"{report['nll'][1]:.3f} after. On other recordings it will be "
        "higher.\n"
    )


def _origin(card: Mapping) -> str:
    lines = ["## Encoder\n"]
    for key in ("name", "origin", "licence", "parameters", "weights_sha256"):
        if card.get(key):
            lines.append(f"* {key}: {card[key]}")
    lines.append(f"* heard without labels: {_corpora(card, 'pretraining')}")
    if card.get("finetuning"):
        lines.append(f"* heard with labels: {_corpora(card, 'finetuning')}")
    lines.append(
        "\nScores on a corpus that the encoder has heard say little about "
        "other recordings."
    )
    if card.get("licence_notice"):
        lines.append(f"\n{card['licence_notice']}")
    return "\n".join(lines) + "\n"


def _corpora(card: Mapping, stage: str) -> str:
    if card.get(stage) is None:
        return "not known, treat every corpus as heard"
    return ", ".join(name or "unnamed audio" for name in card[stage]) or "none"
