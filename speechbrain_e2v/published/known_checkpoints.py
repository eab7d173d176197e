"""Known published checkpoints: origin, licence, what they heard in training.

Whoever tests an encoder on a corpus that it was trained on should be told.
Sources: emotion2vec paper table 1 and section 4, model pages of the
publishers; EmoBox's list of corpora (its paper, table 1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

_FAIRSEQ = "https://dl.fbaipublicfiles.com/fairseq"
_FUNASR_LICENCE = "FunASR Model Open Source License Agreement 1.1"
_FUNASR_NOTICE = (
    "Weights under the FunASR Model License 1.1: attribute origin and authors "
    "and keep the model's name in copies and in derived models. See "
    "https://github.com/modelscope/FunASR/blob/main/MODEL_LICENSE"
)
_FAIRSEQ_NOTICE = (
    "Weights published with fairseq under the MIT licence, copyright "
    "Facebook, Inc. and its affiliates."
)
_LIBRISPEECH = {"LibriSpeech": 960.0}
_EMOTION_UNLABELLED = {
    "IEMOCAP": 7.0,
    "MELD": 12.2,
    "CMU-MOSEI": 91.9,
    "MEAD": 37.3,
    "MSP-Podcast": 113.5,
}
_EMOBOX = (
    "AESDD ASED ASVP-ESD CaFE CASIA CREMA-D EMNS EmoDB EmoV-DB EMOVO "
    "Emozionalmente eNTERFACE ESD IEMOCAP JL-Corpus M3ED MEAD MELD MER2023 "
    "MESD MSP-Podcast Oreau PAVOQUE Polish RAVDESS-Speech RESD SAVEE ShEMO "
    "SUBESCO TESS TurEV-DB URDU"
).split()
_PRETRAINING = _LIBRISPEECH | _EMOTION_UNLABELLED


@dataclass(frozen=True)
class KnownCheckpoint:
    """What is publicly known about a checkpoint.

    `pretraining` and `finetuning` are the corpora heard without and with
    labels, in hours (None where not published). Width and tokens tell a file
    that only happens to have the name.
    """

    name: str
    origin: str
    licence: str
    licence_notice: str
    pretraining: dict[str, float]
    embed_dim: int = 768
    num_extra_tokens: int = 0
    finetuning: dict[str, float | None] = field(default_factory=dict)
    hub_id: str | None = None
    url: str | None = None  # of the file, where no hub has it
    aliases: tuple[str, ...] = ()
    remark: str = ""


def _emotion2vec(
    name: str,
    embed_dim: int = 768,
    finetuning: dict[str, float | None] | None = None,
    remark: str = "",
) -> KnownCheckpoint:
    return KnownCheckpoint(
        name,
        "Ma et al., emotion2vec (arXiv 2312.15185), "
        f"https://huggingface.co/emotion2vec/{name} and "
        f"https://modelscope.cn/models/iic/{name}",
        _FUNASR_LICENCE,
        _FUNASR_NOTICE,
        _PRETRAINING,
        embed_dim,
        10,
        finetuning or {},
        f"emotion2vec/{name}",
        aliases=(f"iic/{name}", f"damo/{name}"),
        remark=remark,
    )


_EMOBOX_LABELLED: dict[str, float | None] = dict.fromkeys(_EMOBOX)
_PSEUDO = "pseudo-labelled speech collected by the publisher"

KNOWN = (
    KnownCheckpoint(
        "data2vec2_base_libri",
        "Baevski et al., data2vec 2.0 (arXiv 2212.07525), "
        f"{_FAIRSEQ}/data2vec2/base_libri.pt",
        "MIT",
        _FAIRSEQ_NOTICE,
        _LIBRISPEECH,
        url=f"{_FAIRSEQ}/data2vec2/base_libri.pt",
        aliases=("base_libri", "data2vec2-base"),
        remark="where emotion2vec's pre-training started from",
    ),
    _emotion2vec(
        "emotion2vec_base",
        remark="the checkpoint for frozen features",
    ),
    _emotion2vec(
        "emotion2vec_base_finetuned",
        finetuning={
            "academic emotion corpora (not listed)": None,
            _PSEUDO: 10000.0,
        },
    ),
    _emotion2vec(
        "emotion2vec_plus_seed",
        finetuning=_EMOBOX_LABELLED,
        remark="labelled corpora of EmoBox, 201 h together",
    ),
    _emotion2vec(
        "emotion2vec_plus_base",
        finetuning=_EMOBOX_LABELLED | {_PSEUDO: 4788.0},
        remark="labels made with emotion2vec_plus_seed",
    ),
    _emotion2vec(
        "emotion2vec_plus_large",
        1024,
        _EMOBOX_LABELLED | {_PSEUDO: 42526.0},
        "labels made with emotion2vec_plus_base; 162 M parameters",
    ),
    KnownCheckpoint(
        "data2vec_audio_base_ls",
        "Baevski et al., data2vec (arXiv 2202.03555), "
        f"{_FAIRSEQ}/data2vec/audio_base_ls.pt",
        "MIT",
        _FAIRSEQ_NOTICE,
        _LIBRISPEECH,
        url=f"{_FAIRSEQ}/data2vec/audio_base_ls.pt",
        aliases=("audio_base_ls", "data2vec1-base"),
        remark="the paper's ablation starts from it (table 8)",
    ),
    KnownCheckpoint(
        "data2vec_audio_base",
        "Baevski et al., data2vec (arXiv 2202.03555), "
        "https://huggingface.co/facebook/data2vec-audio-base",
        "Apache-2.0",
        "Weights published under the Apache licence 2.0 by Meta AI.",
        _LIBRISPEECH,
        hub_id="facebook/data2vec-audio-base",
        aliases=("data2vec-audio-base",),
        remark="without what predicts masked frames",
    ),
    *(
        KnownCheckpoint(
            name,
            f"{authors}, {_FAIRSEQ}/wav2vec/{file}",
            "MIT",
            _FAIRSEQ_NOTICE,
            _LIBRISPEECH,
            embed_dim=512,
            url=f"{_FAIRSEQ}/wav2vec/{file}",
            aliases=aliases,
        )
        for name, authors, file, aliases in (
            (
                "wav2vec_large",
                "Schneider et al., wav2vec (arXiv 1904.05862)",
                "wav2vec_large.pt",
                ("wav2vec",),
            ),
            (
                "vq-wav2vec",
                "Baevski et al., vq-wav2vec (arXiv 1910.05453)",
                "vq-wav2vec.pt",
                (),
            ),
        )
    ),
    KnownCheckpoint(
        "wavlm-large",
        "Chen et al., WavLM (arXiv 2110.13900), "
        "https://huggingface.co/microsoft/wavlm-large",
        "as https://github.com/microsoft/unilm/tree/master/wavlm says",
        "Weights published by Microsoft; see the page of the model.",
        {"Libri-Light": 60000.0, "GigaSpeech": 10000.0, "VoxPopuli": 24000.0},
        1024,
        hub_id="microsoft/wavlm-large",
        aliases=("WavLM-Large",),
        remark="without its last LayerNorm",
    ),
)


def known_checkpoint(
    names: Iterable[str], sizes: Mapping[str, Any] | None = None
) -> KnownCheckpoint | None:
    """Look a checkpoint up by what it is called; only whole names count.

    With the `sizes` of its encoder, a file of other sizes is another model.

    >>> known_checkpoint(["iic/emotion2vec_plus_large"]).embed_dim
    1024
    >>> known_checkpoint(["my_emotion2vec_base"]) is None
    True
    """
    names = set(names)
    for known in KNOWN:
        if not {known.name, known.hub_id, *known.aliases} & names:
            continue
        if sizes is None or (
            sizes["embed_dim"] == known.embed_dim
            and sizes.get("num_extra_tokens", 0) == known.num_extra_tokens
        ):
            return known
    return None


def card_of(known: KnownCheckpoint | None) -> dict[str, Any]:
    """Make the part of an encoder's card that the checkpoint's name gives.

    There is no ``pretraining`` where it is not known: readers then say so.

    >>> card_of(None)
    {'name': 'unknown', 'licence': 'unknown: ask whoever published the file'}
    """
    if known is None:
        return {
            "name": "unknown",
            "licence": "unknown: ask whoever published the file",
        }
    card = {
        "name": known.name,
        "origin": known.origin,
        "licence": known.licence,
        "licence_notice": known.licence_notice,
        "pretraining": known.pretraining,
        "pretraining_labels": "none used",
        "finetuning": known.finetuning,
    }
    return {**card, "remark": known.remark} if known.remark else card
