"""The released head against the reference, padded against packed."""

import pytest
import torch

from speechbrain_e2v.lobes.heads import FrameMLPHead, LinearHead


def test_logits_equal_the_reference(golden):
    vectors = {k: torch.from_numpy(v) for k, v in golden("downstream").items()}
    head = FrameMLPHead(input_dim=48, n_classes=4)
    head.load_state_dict(
        {
            "frame_layer.weight": vectors["state/pre_net.weight"],
            "frame_layer.bias": vectors["state/pre_net.bias"],
            "output_layer.weight": vectors["state/post_net.weight"],
            "output_layer.bias": vectors["state/post_net.bias"],
        }
    )
    feats, padding = vectors["feats"], vectors["padding_mask"]
    num_frames = (~padding).sum(dim=1)
    expected = vectors["logits"]
    found = head(feats, num_frames)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    packed = head.packed(feats[~padding], num_frames)
    torch.testing.assert_close(packed, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("make", [FrameMLPHead, LinearHead])
def test_padded_equals_packed_and_alone(make):
    torch.manual_seed(1)
    head = make(input_dim=6, n_classes=3)
    counts = torch.tensor([4, 9])
    padded = torch.randn(2, 9, 6)
    pieces = [row[:n] for row, n in zip(padded, counts, strict=True)]
    alone = torch.cat([head(piece[None]) for piece in pieces])
    torch.testing.assert_close(head(padded, counts), alone)
    torch.testing.assert_close(head.packed(torch.cat(pieces), counts), alone)
