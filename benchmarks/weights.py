"""One set of weights for both sides, made here: nothing is downloaded."""

import torch

from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.published.load import Pretrained
from speechbrain_e2v.published.write import write_funasr

TINY = {
    "embed_dim": 48,
    "num_heads": 4,
    "prenet_depth": 1,
    "depth": 2,
    "conv_channels": 32,
    "pos_conv_groups": 4,
}
NO_DROPOUT = dict.fromkeys(
    (
        "dropout",
        "attention_dropout",
        "post_mlp_dropout",
        "prenet_dropout",
        "layerdrop",
        "prenet_layerdrop",
    ),
    0.0,
)


def random_encoder(seed=0, **sizes):
    """Build an encoder whose every parameter matters.

    Arguments
    ---------
    seed : int
    **sizes
        Arguments of Emotion2vecEncoder; base size by default.

    Returns
    -------
    Emotion2vecEncoder
        In evaluation mode. Norms, biases and ALiBi's scales differ from
        their initial values, which would hide a mistake in them.

    Example
    -------
    >>> encoder = random_encoder(**TINY)
    >>> bool((encoder.context.alibi.scale != 1).all())
    True
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        encoder = Emotion2vecEncoder(**sizes)
        for parameter in encoder.parameters():
            if parameter.dim() == 1:
                parameter += 0.1 * torch.randn_like(parameter)
    return encoder.eval()


def sizes_of(tiny):
    """Sizes of a script's encoder: base, or tiny where asked for."""
    return TINY if tiny else {}


def write_for_peer(folder, encoder):
    """Write an encoder as a FunASR folder.

    Arguments
    ---------
    folder : str or Path
    encoder : Emotion2vecEncoder

    Returns
    -------
    Path
    """
    return write_funasr(folder, Pretrained(encoder, {}, "random", None))


def random_speech(seconds, seed=0):
    """Make a waveform [S] at 16 kHz; what it sounds like costs no time."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(16000 * seconds), generator=generator)
