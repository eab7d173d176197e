"""One way to get an encoder, whatever it lies in."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.encoder_folder import (
    SIZES,
    WEIGHTS,
    load_encoder,
    read_card,
)
from speechbrain_e2v.published.head import (
    PublishedHead,
    load_head,
)
from speechbrain_e2v.published.hub import resolve
from speechbrain_e2v.published.known_checkpoints import (
    card_of,
    known_checkpoint,
)
from speechbrain_e2v.published.read import (
    left_out,
    published_name_hints,
    read_published,
)


@dataclass
class Pretrained:
    """An encoder and all that came with it.

    Arguments
    ---------
    encoder : Emotion2vecEncoder
        In evaluation mode.
    card : dict
        Name, origin, licence, corpora heard.
    layout : str
        ``encoder folder``, ``fairseq`` or ``funasr``.
    weights_file : Path
    head : PublishedHead or None
    decoder, decoder_sizes : dict or None
        State of a ConvDecoder and its arguments.
    teacher : dict or None
        State of the teacher's context encoder.
    left_out : list of str
        What the source also holds, and inference does not need.
    """

    encoder: Emotion2vecEncoder
    card: dict
    layout: str
    weights_file: Path
    head: PublishedHead | None = None
    decoder: dict | None = None
    decoder_sizes: dict | None = None
    teacher: dict | None = None
    left_out: list = field(default_factory=list)


def load_pretrained(source, local_files_only=False):
    """Load an encoder from an encoder folder, a published file or the hub.

    Arguments
    ---------
    source : str or Path
        Encoder folder, output folder of a pre-training run, fairseq file,
        FunASR folder or file, or hub id (``emotion2vec/emotion2vec_base``).
    local_files_only : bool
        Never download.

    Returns
    -------
    Emotion2vecEncoder
        In evaluation mode.
    dict
        Its card.

    Raises
    ------
    FileNotFoundError
        When there is no such thing, here or on the hub.
    ValueError
        When it is refused, damaged, incomplete or of another kind; every
        missing, unexpected and mis-shaped tensor is listed.

    Example
    -------
    >>> from speechbrain_e2v.published.encoder_folder import save_encoder
    >>> encoder = Emotion2vecEncoder(
    ...     embed_dim=48, num_heads=4, prenet_depth=1, depth=2,
    ...     conv_channels=32, pos_conv_groups=4)
    >>> folder = save_encoder(getfixture("tmp_path"), encoder, {"name": "x"})
    >>> encoder, card = load_pretrained(folder)
    >>> card["name"], encoder.embed_dim
    ('x', 48)
    """
    pretrained = read_pretrained(source, local_files_only)
    return pretrained.encoder, pretrained.card


def read_pretrained(source, local_files_only=False):
    """Like `load_pretrained`, with head, decoder and teacher where present.

    Arguments
    ---------
    source : str or Path
    local_files_only : bool

    Returns
    -------
    Pretrained
    """
    path = resolve(source, local_files_only)
    for folder in (path, path / "encoder"):
        if (folder / SIZES).is_file():
            return Pretrained(
                load_encoder(folder),
                read_card(folder),
                "encoder folder",
                folder / WEIGHTS,
                load_head(folder),
            )
    published = read_published(path)
    weights = published.weights
    if weights.family != "data2vec2":
        raise ValueError(
            f"{source} is data2vec v1 ({weights.sizes['depth']} layers of "
            f"width {weights.sizes['embed_dim']}; every tensor was "
            "recognised), which is another architecture than emotion2vec's: "
            "no encoder folder can be made of it. Its weights can be read "
            "with speechbrain_e2v.published.read.read_published."
        )
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        encoder = Emotion2vecEncoder(**weights.sizes)
    encoder.load_state_dict(weights.encoder)
    return Pretrained(
        encoder.eval(),
        _card(source, path, published),
        published.layout,
        published.files.weights,
        published.head,
        weights.decoder,
        weights.decoder_sizes,
        weights.teacher,
        left_out(published),
    )


def _card(source, path, published):
    names = [str(source)]
    names += published_name_hints(source, path)
    names += published_name_hints(source, published.files.weights)
    card = card_of(known_checkpoint(names, published.weights.sizes))
    # A path of this machine tells others nothing: the name is enough.
    named = Path(source).name if Path(source).exists() else str(source)
    card |= {"source": named, "source_layout": published.layout}
    if published.head is not None:
        card["labels"] = published.head.ids
    if published.notes:
        card["notes"] = published.notes
    return card
