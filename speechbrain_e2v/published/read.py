"""Reading published checkpoints: data2vec 2.0, emotion2vec, data2vec v1.

Layouts: fairseq's, FunASR's folders, HuggingFace's. None of these packages is
needed, and nothing in a file is run.
"""

from dataclasses import dataclass, field
from pathlib import Path

from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import (
    FAIRSEQ_ANCHOR,
    HUGGINGFACE_ANCHOR,
)
from speechbrain_e2v.published.emotion2vec_layout import (
    ANCHOR,
    Weights,
    prefix_of,
    read_emotion2vec,
)
from speechbrain_e2v.published.files import (
    Files,
    find_files,
    open_weights,
)
from speechbrain_e2v.published.head import (
    NINE_TOKENS,
    PublishedHead,
    read_labels,
    read_tokens,
)

_READERS = {
    "emotion2vec": (ANCHOR, read_emotion2vec),
    "data2vec1": (FAIRSEQ_ANCHOR, read_data2vec1),
    "huggingface": (HUGGINGFACE_ANCHOR, read_data2vec1),
}


@dataclass
class Published:
    """A published checkpoint under our names.

    Arguments
    ---------
    layout : str
        ``fairseq``, ``funasr``, ``data2vec1`` or ``huggingface``.
    weights : Weights
        Sizes and states of encoder, decoder, teacher.
    head : PublishedHead or None
    files : Files
    config : dict or None
        The whole config, plain.
    dropped : dict of str to str
        Left out on purpose: not needed for inference.
    notes : list of str
    """

    layout: str
    weights: Weights
    head: PublishedHead | None
    files: Files | None
    config: dict | None
    dropped: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)


def read_published(path):
    """Read a published file or folder.

    Arguments
    ---------
    path : str or Path
        ``.pt``, ``.bin``, ``.safetensors`` or a folder with one of them.

    Returns
    -------
    Published

    Raises
    ------
    FileNotFoundError
        When there is no such thing.
    ValueError
        When the file is refused, damaged, of an unknown kind, or has missing,
        unexpected or mis-shaped tensors.
    """
    files = find_files(path)
    with open_weights(files) as content:
        return translate(content, files)


def translate(content, files):
    """Translate what a weights file holds.

    Arguments
    ---------
    content : Content
    files : Files

    Returns
    -------
    Published
    """
    origin = files.weights
    layout, prefix = _recognise(content.tensors, origin)
    config = _model_part(content.config)
    read = _READERS[layout][1]
    weights = read(content.tensors, content.ema, config, origin)
    _demand_normalised_audio(content.config, origin)
    head = None
    if weights.head is not None:
        labels = _labels(files.tokens, len(weights.head[1]), weights.notes)
        head = PublishedHead(*weights.head, labels=labels)
    if layout == "emotion2vec":
        layout = "funasr" if prefix or head else "fairseq"
    return Published(
        layout,
        weights,
        head,
        files,
        content.config,
        content.dropped | weights.dropped,
        weights.notes,
    )


def _recognise(tensors, origin):
    for layout, (anchor, _) in _READERS.items():
        prefix = prefix_of(tensors, anchor)
        if prefix is not None:
            return layout, prefix
    some = ", ".join(list(tensors)[:5])
    raise ValueError(
        f"{origin} is none of the known layouts (emotion2vec, data2vec 2.0 "
        f"audio, data2vec audio): its tensors are {some}, ... If it is "
        "a checkpoint of a pre-training run here, give the run's `encoder` "
        "folder."
    )


def left_out(published):
    """Say calmly what an encoder folder will not contain.

    Arguments
    ---------
    published : Published

    Returns
    -------
    list of str
    """
    parts = dict(published.dropped)
    if published.weights.decoder:
        count = len(published.weights.decoder)
        parts["decoder"] = f"{count} tensors, for pre-training"
    if published.weights.teacher:
        count = len(published.weights.teacher)
        parts["teacher (_ema)"] = f"{count} tensors, for pre-training"
    return [
        f"{name}: {what} - not needed for inference"
        for name, what in parts.items()
    ]


def _model_part(config):
    """Find the model's settings in what fairseq, FunASR or HF wrote."""
    if not config:
        return None
    for key in ("model_conf", "model"):
        if isinstance(config.get(key), dict):
            return config[key]
    return config


def _demand_normalised_audio(config, origin):
    config = config or {}
    for part in (config, config.get("task"), config.get("model_conf")):
        if isinstance(part, dict) and part.get("normalize") is False:
            raise ValueError(
                f"{origin} was trained on audio that is not normalised "
                "(normalize: false); here every waveform is normalised, so "
                "its features would be wrong. No published audio model is so."
            )


def _labels(tokens, classes, notes):
    if tokens is not None:
        return read_tokens(tokens)
    if classes == len(NINE_TOKENS):
        notes.append(
            "no tokens.txt: the nine published labels in their usual order"
        )
        return read_labels(NINE_TOKENS)
    notes.append("no tokens.txt: labels are numbered")
    return read_labels([f"class_{index}" for index in range(classes)])


def published_name_hints(source, path):
    """Collect what a checkpoint may be called, for looking it up.

    Arguments
    ---------
    source : str
        As the user gave it.
    path : str or Path
        Where it was found.

    Returns
    -------
    list of str
        Folder and file names, the hub's ``models--owner--name`` taken apart.
    """
    parts = [*Path(str(source)).parts[-2:], *Path(path).parts[-4:]]
    names = []
    for part in parts:
        names.append(part.split("--")[-1])
        names.append(Path(part).stem)
    return names
