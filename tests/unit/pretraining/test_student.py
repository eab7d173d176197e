"""The student equals a loop over clones that gathers nothing."""

import pytest
import torch

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.pretraining.masking import block_masks, mask_layout
from speechbrain_e2v.pretraining.student import Student


@pytest.fixture
def student():
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48,
        num_heads=4,
        prenet_depth=1,
        depth=2,
        num_extra_tokens=3,
        conv_channels=32,
        pos_conv_groups=4,
    )
    with torch.no_grad():
        encoder.context.alibi.scale.uniform_(0.5, 1.5)
    return Student(encoder, ConvDecoder(48, 24, groups=4)).eval()


@torch.no_grad()
def test_equals_one_clone_at_a_time(student):
    wav = torch.randn(2, 9000)
    mask = block_masks([27, 27], [[1, 2, 3], [4, 5, 6]])
    layout = mask_layout(mask)
    noise = torch.randn(6, layout.masked.shape[1], 48)
    output = student(wav, None, layout, noise)
    encoder, context = student.encoder, student.encoder.context
    for b in range(2):
        local = encoder.projection(encoder.frontend(wav[b : b + 1]))
        for k in range(3):
            row, masked = 3 * b + k, mask[b, k]
            zeroed = local.clone()
            zeroed[:, masked] = 0
            x = (local + context.positional(zeroed))[:, ~masked]
            positions = (~masked).nonzero().T
            *_, (encoded, _) = context.run_blocks(x, positions)
            torch.testing.assert_close(output.tokens[row], encoded[0, :3])
            torch.testing.assert_close(output.visible[row], encoded[0, 3:])
            full = torch.zeros(1, 27, 48)
            full[:, ~masked] = encoded[:, 3:]
            full[:, masked] = noise[row]
            decoded = student.decoder.proj(student.decoder(full))
            torch.testing.assert_close(
                output.prediction[row],
                decoded[0, masked],
                atol=1e-5,
                rtol=1e-5,
            )


def test_masked_audio_reaches_only_the_masked_side(student):
    """A frame's own features must not leak into its own prediction."""
    student.train(False)
    wav = torch.randn(1, 9000)
    mask = torch.zeros(1, 1, 27, dtype=torch.bool)
    mask[0, 0, 10:20] = True
    layout = mask_layout(mask)
    noise = torch.zeros(1, 10, 48)
    local = {}
    hook = student.encoder.projection.register_forward_hook(
        lambda module, args, output: local.setdefault(
            "x", output.retain_grad() or output
        )
    )
    output = student(wav, None, layout, noise)
    hook.remove()
    output.prediction.square().sum().backward()
    reached = local["x"].grad.abs().sum(2)[0] > 0
    assert not reached[10:20].any()
    assert reached[:10].all() and reached[20:].all()


def test_utterance_sees_dropout_only_when_asked():
    torch.manual_seed(0)
    encoder = Emotion2vecEncoder(
        embed_dim=48,
        num_heads=4,
        prenet_depth=0,
        depth=1,
        conv_channels=32,
        pos_conv_groups=4,
        dropout=0.0,
        attention_dropout=0.0,
        post_mlp_dropout=0.0,
        prenet_dropout=0.0,
        layerdrop=0.0,
    )
    wav = torch.randn(1, 9000)
    layout = mask_layout(block_masks([27], [[1]]))
    noise = torch.zeros(1, 13, 48)
    zeros = []
    for asked in (False, True):
        student = Student(encoder, ConvDecoder(48, 24, groups=4), 0.5, asked)
        output = student.train()(wav, None, layout, noise)
        zeros.append((output.tokens == 0).float().mean().item())
    assert zeros[0] == 0 and 0.4 < zeros[1] < 0.6


def test_a_decoder_may_start_from_predicting_nothing():
    torch.manual_seed(0)
    decoder = ConvDecoder(48, 24, groups=4, initial_scale=0.0)
    x = torch.randn(2, 9, 48, requires_grad=True)
    prediction = decoder.proj(decoder(x))
    assert prediction.abs().max() == 0
    (prediction - 1).square().sum().backward()
    assert x.grad.abs().max() == 0  # the encoder is left alone at first ...
    assert decoder.proj.weight.grad.abs().max() > 0  # ... the decoder learns
