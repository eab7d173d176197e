"""One way to get an encoder, whatever it lies in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from speechbrain_e2v.lobes.waveform_encoder import WaveformEncoder
from speechbrain_e2v.published.checkpoint import Published
from speechbrain_e2v.published.encoder_folder import (
    SIZES,
    WEIGHTS,
    load_encoder,
    load_head,
    read_card,
)
from speechbrain_e2v.published.encoder_folder import (
    read_sizes as read_folder_sizes,
)
from speechbrain_e2v.published.head import PublishedHead
from speechbrain_e2v.published.hub import origin_of, resolve
from speechbrain_e2v.published.known_checkpoints import (
    card_of,
    known_checkpoint,
)
from speechbrain_e2v.published.read import find_files, read_published
from speechbrain_e2v.published.sizes import build_encoder


@dataclass
class Pretrained:
    """An encoder in evaluation mode and all that came with it.

    `layout` is ``encoder folder`` or one of `Published`. `decoder` is a state
    of ConvDecoder(**decoder_sizes), or of data2vec v1's linear layer, `teacher`
    one of the teacher's context encoder. `left_out` names what inference does
    not need.
    """

    encoder: WaveformEncoder
    card: dict[str, Any]
    layout: str
    weights_file: Path | None
    head: PublishedHead | None = None
    decoder: dict[str, torch.Tensor] | None = None
    decoder_sizes: dict[str, int] | None = None
    mask_embedding: torch.Tensor | None = None
    teacher: dict[str, torch.Tensor] | None = None
    left_out: list[str] = field(default_factory=list)


def load_pretrained(
    source: str | Path, local_files_only: bool = False
) -> tuple[WaveformEncoder, dict[str, Any]]:
    """Load an encoder, in evaluation mode, and its card.

    The source is an encoder folder, the output folder of a pre-training run,
    a fairseq file (data2vec 2.0, emotion2vec, data2vec v1), a FunASR folder or
    file, HuggingFace's of data2vec-audio, a hub id
    (``emotion2vec/emotion2vec_base``) or a known name (``data2vec2-base``,
    see `published.hub`). Raises FileNotFoundError when there is
    no such thing, here or on the hub, and ValueError when it is refused,
    damaged, incomplete or of another kind, with every missing, unexpected and
    mis-shaped tensor.

    >>> from speechbrain_e2v.published.encoder_folder import save_encoder
    >>> from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
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


def read_pretrained(
    source: str | Path, local_files_only: bool = False
) -> Pretrained:
    """Like `load_pretrained`, with head, decoder and teacher where present."""
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
    with torch.random.fork_rng(devices=[]):  # loading changes no seed
        encoder = build_encoder(
            published.sizes, published.encoder, published.weights_file
        )
    return Pretrained(
        encoder,
        _card(source, path, published),
        published.layout,
        published.weights_file,
        published.head,
        published.decoder,
        published.decoder_sizes,
        published.mask_embedding,
        published.teacher,
        published.left_out,
    )


def weights_file(source: str | Path, local_files_only: bool = False) -> Path:
    """Find the file with the weights of anything above, without reading it."""
    path = resolve(source, local_files_only)
    for folder in (path, path / "encoder"):
        if (folder / SIZES).is_file():
            return folder / WEIGHTS
    return find_files(path).weights


def read_sizes(
    source: str | Path, local_files_only: bool = False
) -> dict[str, Any]:
    """Read kind and sizes of an encoder (`published.sizes`) off anything above.

    An encoder of them has the published architecture and random weights.
    """
    path = resolve(source, local_files_only)
    for folder in (path, path / "encoder"):
        if (folder / SIZES).is_file():
            return read_folder_sizes(folder)
    return read_published(path).sizes


def _card(
    source: str | Path, path: Path, published: Published
) -> dict[str, Any]:
    parts = [*Path(str(source)).parts[-2:], *path.parts[-4:]]
    parts += published.weights_file.parts[-4:]
    names = [str(source)]
    for part in parts:  # the hub's folders are models--owner--name
        names += [part.split("--")[-1], Path(part).stem]
    card = card_of(known_checkpoint(names, published.sizes))
    # A path of this machine tells others nothing: the name is enough.
    named = Path(source).name if Path(source).exists() else str(source)
    card |= {"source": named, "source_layout": published.layout}
    card |= origin_of(published.weights_file)
    if published.head is not None:
        card["labels"] = published.head.ids
    if published.notes:
        card["notes"] = published.notes
    return card
