"""DST against the reference: every layer, gradients, windows at the edges."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speechbrain_e2v.downstream.networks.dst import Dst

# Windows depend on the content, and a frame enters one all at once.
CLOSE = {"atol": 2e-3, "rtol": 0}


def theirs(name):
    return name.replace("ffn.norm", "ffn.final_layer_norm")


@pytest.fixture
def tiny(golden):
    net = Dst(32, 4, length=40, hidden=24, layers=2, heads=4).eval()
    state = golden("dst_tiny_state.safetensors")
    net.load_state_dict({k: state[theirs(k)] for k in net.state_dict()})
    arrays = {k: torch.as_tensor(v) for k, v in golden("dst_tiny").items()}
    return net, arrays


def close(found, expected, **bounds):
    torch.testing.assert_close(found, expected, **(bounds or CLOSE))


def test_where_training_starts(tiny):
    _, arrays = tiny
    net = Dst(32, 4, length=40, hidden=24, layers=2, heads=4)
    biases = net.layers[1].attention.offset_duration.bias
    close(biases.data, arrays["init/offset_duration_bias"], atol=1e-5, rtol=0)
    assert not net.layers[1].attention.offset_duration.weight.any()
    close(net.positions[:10], arrays["init/sinusoid_rows_0_to_9"])
    bound = (6 / (2 * 32)) ** 0.5
    weight = net.layers[0].attention.project_out.weight
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.02)


@torch.no_grad()
def test_every_layer(tiny):
    net, arrays = tiny
    states = net.placed(arrays["input"])
    close(states, arrays["input_normed_plus_position"])
    for number, layer in enumerate(net.layers):
        expected = {
            name: arrays[f"layer{number}/{name}"]
            for name in ("attention_output", "output", "anchor_BTH")
        }
        queries, keys, _ = layer.attention.qkv(states).chunk(3, dim=2)
        anchors, half_widths = layer.attention.windows(queries)
        close(anchors.transpose(1, 2), expected["anchor_BTH"])
        first = arrays[f"layer{number}/window_first_BTH"].transpose(1, 2)
        last = arrays[f"layer{number}/window_last_BTH"].transpose(1, 2)
        assert torch.equal((anchors - half_widths).floor(), first)
        assert torch.equal((anchors + half_widths).ceil(), last)
        if number == 0:
            weights = layer.attention.weights(queries, keys)
            close(weights, arrays["layer0/attention_weights_BHTT"])
        close(layer.attention(states), expected["attention_output"])
        states = layer(states)
        close(states, expected["output"])
    close(net(arrays["input"]), arrays["logits"])


def test_loss_and_gradients(tiny, golden):
    net, arrays = tiny
    loss = F.cross_entropy(net(arrays["input"]), arrays["labels"])
    close(loss, arrays["cross_entropy"], atol=1e-4, rtol=0)
    loss.backward()
    expected = golden("dst_tiny_grads.safetensors")
    found = dict(net.named_parameters())
    assert {theirs(name) for name in found} == set(expected)
    for name, parameter in found.items():
        gradient = expected[theirs(name)]
        largest = gradient.abs().max().item()
        close(parameter.grad, gradient, atol=1e-2 * largest, rtol=0)


@torch.no_grad()
def test_windows_beside_the_sequence_and_whole_anchors(tiny):
    net, arrays = tiny
    states = arrays["input_normed_plus_position"]
    attention = net.layers[0].attention
    biases = attention.offset_duration.bias
    attention.offset_duration.weight.zero_()
    queries, keys, _ = attention.qkv(states).chunk(3, dim=2)
    biases.copy_(arrays["degenerate/bias"])
    weights = attention.weights(queries, keys)[0, 0]
    close(weights, arrays["degenerate/attention_weights_b0_h0"])
    uniform = torch.isclose(weights, torch.tensor(1 / 40)).all(dim=1)
    assert torch.equal(
        uniform, arrays["degenerate/rows_uniform_over_all_frames"]
    )
    biases[:4] = 0.0
    biases[4:] = torch.logit(arrays["integer_anchor/half_width"] / 40)
    weights = attention.weights(queries, keys)[0, 0]
    close(weights, arrays["integer_anchor/attention_weights_b0_h0"])
    close(attention(states), arrays["integer_anchor/attention_output"])


def test_published_sizes():
    counted = Dst(1024, 4)
    assert sum(p.numel() for p in counted.parameters()) == 21_735_236
    noisy = Dst(1024, 4, positions="frozen_noise")
    sizes = {True: 0, False: 0}
    for parameter in noisy.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    assert sizes == {True: 21_735_236, False: 2000 * 1024}
    assert "positions" not in counted.state_dict(), "can be made again"
    assert "positions" in noisy.state_dict(), "cannot"
    bound = (6 / (2000 + 1024)) ** 0.5
    assert noisy.positions.abs().max().item() == pytest.approx(bound, rel=1e-3)
    # A little more than 25 frames would let two more into the window.
    biases = counted.layers[0].attention.offset_duration.bias
    widths = biases[8:].sigmoid() * 326
    close(widths, torch.linspace(1.25, 25, 8), atol=1e-4, rtol=0)
    assert widths.max() <= 25


def filled(name, shape, seed):
    """The reference's weights by recipe: of a digest of seed and name."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
    values = np.random.RandomState(int(digest[:8], 16)).standard_normal(shape)
    if len(shape) == 1 and name.endswith(".weight"):
        values = 1 + 0.1 * values
    elif len(shape) == 1:
        values = 0.05 * values
    else:
        values = values / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(values.astype(np.float32))


@torch.no_grad()
def test_published_size_by_recipe(golden):
    recipe = golden("rivals/dst_full_recipe.json")
    arrays = golden("rivals/dst_full")
    net = Dst(1024, 4).eval()
    state = {}
    for name, value in net.state_dict().items():
        state[name] = filled(theirs(name), value.shape, recipe["fill_seed"])
        total = recipe["sum_abssum_before_that"][theirs(name)][1]
        assert state[name].double().abs().sum().item() == pytest.approx(total)
    net.load_state_dict(state)
    widths = torch.linspace(1.3, 24.6, 8)
    for layer in net.layers:
        layer.attention.offset_duration.weight.zero_()
        layer.attention.offset_duration.bias[8:] = torch.logit(widths / 326)
    drawn = np.random.RandomState(56).standard_normal((1, 326, 1024))
    states = net.placed(torch.from_numpy(drawn.astype(np.float32)))
    for number, layer in enumerate(net.layers):
        states = layer(states)
        expected = arrays[f"layer{number}/output_frames_0_100_325"]
        close(states[0, [0, 100, 325]], torch.from_numpy(expected))
    logits = net.classifier(states).mean(dim=1)
    close(logits, torch.from_numpy(arrays["logits"]))
