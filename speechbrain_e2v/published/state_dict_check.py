"""Load hooks for SpeechBrain's Pretrainer that accept no half fit.

Its own transfer hook only warns about missing and unexpected parameters, so a
wrong file gives a random model; and a label file is never compared with the
classifier. Exported classifier folders name these hooks instead.
"""

from safetensors import SafetensorError
from safetensors.torch import load_file

from speechbrain_e2v.published.encoder_folder import check_state


def load_strict(module, path):
    """Load parameters that fit in every name and shape, or fail.

    Arguments
    ---------
    module : torch.nn.Module
    path : str or Path
        A safetensors file, whatever its suffix.

    Raises
    ------
    ValueError
        When the file is damaged, or listing what does not fit.

    Example
    -------
    >>> import torch
    >>> from safetensors.torch import save_file
    >>> path = getfixture("tmp_path") / "layer.ckpt"
    >>> save_file(torch.nn.Linear(2, 3).state_dict(), path)
    >>> layer = torch.nn.Linear(2, 3)
    >>> load_strict(layer, path)
    >>> load_strict(torch.nn.Linear(2, 4), path)
    Traceback (most recent call last):
        ...
    ValueError: ...
    """
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}): copy or "
            "export it again."
        ) from error
    check_state(module, state, path)
    module.load_state_dict(state)


def load_labels(label_encoder, path, n_classes):
    """Load a label file that names every class once, or fail.

    Arguments
    ---------
    label_encoder : speechbrain.dataio.encoder.CategoricalEncoder
    path : str or Path
    n_classes : int
        Outputs of the classifier.

    Raises
    ------
    ValueError
        When the labels are not exactly those with the indices 0 ... C - 1.
    """
    label_encoder.load(path)
    found = sorted(label_encoder.ind2lab)
    if found != list(range(n_classes)) or len(label_encoder) != n_classes:
        raise ValueError(
            f"{path} has labels for the indices {found}, but the classifier "
            f"has {n_classes} classes: export the folder again."
        )
    label_encoder.expect_len(n_classes)
