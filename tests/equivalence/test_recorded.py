"""Numbers recorded when the reference vectors were matched.

They keep the maths in place in a checkout without these vectors. To record
them again (only after tests/equivalence passes with the vectors there):

> python tests/equivalence/test_recorded.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

from equivalence.reference_model import filled_pair  # noqa: E402

from speechbrain_e2v.lobes.frontend import normalise_waveform  # noqa: E402
from speechbrain_e2v.pretraining.losses import (  # noqa: E402
    frame_loss,
    masked_targets,
    utterance_loss,
    utterance_prediction,
)
from speechbrain_e2v.pretraining.masking import block_masks, mask_layout  # noqa: E402

RECORD = HERE / "recorded.json"
CFG = {
    "embed_dim": 48,
    "num_heads": 4,
    "depth": 3,
    "average_top_k_layers": 2,
    "modalities": {
        "audio": {
            "prenet_depth": 1,
            "num_extra_tokens": 3,
            "feature_encoder_spec": "[(32,10,5)]+[(32,3,2)]*4+[(32,2,2)]*2",
            "conv_pos_groups": 4,
            "decoder": {
                "decoder_dim": 24,
                "decoder_kernel": 7,
                "decoder_layers": 4,
                "decoder_groups": 4,
            },
        }
    },
}


def computed():
    """Features, losses and gradient norms of a fixed model and input."""
    student, teacher = filled_pair(CFG)
    noise = np.random.RandomState(0)
    samples = torch.tensor([9000, 6001])
    wav = torch.from_numpy(noise.standard_normal((2, 9000))).float()
    wav = normalise_waveform(wav, samples)
    lengths = samples / 9000
    frames = student.encoder.num_frames(samples).tolist()
    with torch.no_grad():
        features = student.encoder(wav, lengths)
    layout = mask_layout(block_masks(frames, [[1, 2], [3, 4]]), frames)
    filler = 0.01 * noise.standard_normal((*layout.masked.shape, 48))
    output = student(wav, lengths, layout, torch.from_numpy(filler).float())
    targets = teacher(output.local, output.num_frames)
    frame = frame_loss(
        output.prediction,
        masked_targets(targets.frames, layout),
        layout.masked_real,
    )
    pooled = {
        kind: utterance_loss(
            utterance_prediction(
                output.tokens, output.visible, layout.visible_real, kind
            ),
            targets.utterance,
        )
        for kind in ("token", "chunk", "global")
    }
    (frame.sum() + pooled["chunk"].sum()).backward()
    norms = {
        name: parameter.grad.norm().item()
        for name, parameter in student.named_parameters()
    }
    return {
        "frames": frames,
        "feature_sums": features.abs().sum((1, 2)).tolist(),
        "features": features[:, 3, :6].flatten().tolist(),
        "mask": layout.masked[0].tolist(),
        "frame_loss": frame.sum(1).tolist(),
        **{f"{k}_loss": rows.tolist() for k, rows in pooled.items()},
        "gradient_norms": norms,
    }


def test_nothing_has_moved():
    recorded = json.loads(RECORD.read_text("utf-8"))
    ours = computed()
    assert ours.keys() == recorded.keys()
    for key, value in recorded.items():
        assert ours[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


if __name__ == "__main__":
    RECORD.write_text(json.dumps(computed(), indent=1) + "\n", "utf-8")
