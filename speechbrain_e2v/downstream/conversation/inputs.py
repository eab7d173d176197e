"""What a conversation network reads, fitted on the training part alone."""

import numpy as np
import torch

from speechbrain_e2v.downstream.conversation.scaling import fit_scaling
from speechbrain_e2v.downstream.conversation.transcripts import (
    Transcripts,
    count_pieces,
    encode_pieces,
    fit_pieces,
)


def fitted_inputs(store, train):
    """What a network reads, scaled and cut by the training part alone.

    Arguments
    ---------
    store : Conversations
        With its inputs.
    train : sequence of str
        Samples; the utterances of their contexts are what is learned from.

    Returns
    -------
    tuple
        Vectors of all utterances [U, D], their text units [U, M], how many
        units there are, and the width of a unit's vector.
    """
    rows = store.context_rows(train)
    vectors, units, n_units, unit_dim = [], torch.zeros(1, 1).long(), 0, 0
    for part in store.inputs:
        if isinstance(part, Transcripts):
            model = fit_pieces([part.texts[i] for i in rows], part.vocab_size)
            units = torch.from_numpy(encode_pieces(model, part.texts))
            n_units, unit_dim = count_pieces(model), part.dim
        else:
            vectors.append(fit_scaling(part, rows)(part.values))
    n = len(store.inputs[0].texts if not vectors else vectors[0])
    joined = np.concatenate([np.zeros((n, 0), np.float32), *vectors], axis=1)
    return torch.from_numpy(joined), units, n_units, unit_dim
