"""TIM-Net against the reference: front end, network, one training step."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from speechbrain_e2v.downstream.networks.timnet import BiasedBatchNorm, Timnet

CLOSE = {"atol": 2e-5, "rtol": 1e-4}
# Ours by theirs; both directions are one tensor here, theirs first forwards.
NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def joined(state, ours):
    """The reference's value of a tensor of ours."""
    parts = ours.split(".")
    if ours == "fusion":
        return state["fusion.weight"][:, 0]
    if parts[0] == "output":
        name = "head.kernel" if parts[1] == "weight" else "head.bias"
        return state[name].transpose(0, -1)
    if parts[0] == "input":
        theirs = "in.kernel" if parts[1] == "weight" else "in.bias"
    else:
        block, part, kind = f"block{int(parts[1]) + 1}", parts[2], parts[3]
        name = "kernel" if kind == "weight" else "bias"
        if part.startswith("norm"):
            part, name = part.replace("norm", "bn"), NORM[kind]
        theirs = f"{block}.{part}.{name}"
    both = [state[f"{way}.{theirs}"] for way in ("fwd", "bwd")]
    # A kernel is [k, in, out] there, [out, in, k] here.
    both = [x.permute(2, 1, 0) if x.ndim == 3 else x for x in both]
    return torch.cat(both)


def names(net):
    return [n for n in net.state_dict() if "num_batches" not in n]


@pytest.fixture
def tiny(golden):
    net = Timnet(input_dim=13, n_classes=5, channels=10, blocks=4)
    state = golden("timnet_tiny_state.safetensors")
    loaded = {name: joined(state, name) for name in names(net)}
    assert net.load_state_dict(loaded, strict=False).unexpected_keys == []
    return net, {
        k: torch.from_numpy(v) for k, v in golden("timnet_tiny").items()
    }


def test_every_stage_in_evaluation(tiny):
    net, arrays = tiny
    net.eval()
    features = arrays["input_BTF"]
    with torch.no_grad():
        means = net.block_means(features)
        fused = net.fused(features)
        logits = net(features)
        packed = net.packed(features.flatten(0, 1), torch.tensor([50] * 3))
    torch.testing.assert_close(means, arrays["eval/g_BnF"], **CLOSE)
    torch.testing.assert_close(fused, arrays["eval/fused_BF"], **CLOSE)
    torch.testing.assert_close(logits, arrays["eval/logits"], **CLOSE)
    torch.testing.assert_close(packed, logits)


def test_a_training_step(tiny):
    net, arrays = tiny
    net.train()
    for block in net.blocks:
        block.dropout.p = 0.0
    optimizer = torch.optim.Adam(net.parameters(), 0.001, (0.93, 0.98))
    loss = F.cross_entropy(
        net(arrays["input_BTF"]), arrays["labels"], label_smoothing=0.1
    )
    loss.backward()
    torch.testing.assert_close(loss, arrays["train/loss"], **CLOSE)
    grads = {
        k.removeprefix("train/grad/"): v
        for k, v in arrays.items()
        if k.startswith("train/grad/")
    }
    for name, value in net.named_parameters():
        expected = joined(grads, name)
        # An offset before a normalisation has no effect: only noise.
        torch.testing.assert_close(value.grad, expected, msg=name, **CLOSE)
    moved = {
        k.removeprefix("train/after_forward/"): v
        for k, v in arrays.items()
        if k.startswith("train/after_forward/")
    }
    for name, value in net.named_buffers():
        if "running" in name:
            torch.testing.assert_close(value, joined(moved, name), **CLOSE)
    optimizer.step()
    torch.testing.assert_close(
        net.fusion.data,
        arrays["train/after_adam_step/fusion.weight"][:, 0],
        **CLOSE,
    )
    torch.testing.assert_close(
        net.output.weight.data,
        arrays["train/after_adam_step/head.kernel"].T,
        **CLOSE,
    )
    forwards = net.input.weight.data[:10].permute(2, 1, 0)
    torch.testing.assert_close(
        forwards, arrays["train/after_adam_step/fwd.in.kernel"], **CLOSE
    )


@pytest.mark.parametrize(
    ("blocks", "classes", "all_values", "trainable"),
    [(8, 7, 106_992, 104_496), (10, 4, 132_770, 129_650)],
)
def test_published_sizes_count_moving_statistics(
    blocks, classes, all_values, trainable
):
    net = Timnet(39, classes, blocks=blocks)
    state = net.state_dict()
    assert sum(state[name].numel() for name in names(net)) == all_values
    assert sum(p.numel() for p in net.parameters()) == trainable


def test_moving_variance_is_biased():
    torch.manual_seed(0)
    norm, inputs = BiasedBatchNorm(3, momentum=0.25), torch.randn(4, 3, 5)
    norm(inputs)
    expected = 0.75 + 0.25 * inputs.var(dim=(0, 2), unbiased=False)
    torch.testing.assert_close(norm.running_var, expected)


def test_initial_weights_are_of_one_direction():
    """Both directions in one tensor would have Glorot's bound too small."""
    torch.manual_seed(0)
    net = Timnet(39, 7)
    weight = net.blocks[2].conv1.weight
    bound = (6 / (2 * 39 + 2 * 39)) ** 0.5
    assert weight.abs().max().item() == pytest.approx(bound, rel=1e-3)
    assert net.fusion.abs().max() <= 0.05


@pytest.mark.parametrize(
    ("samples", "name"),
    [(96_000, "mfcc_padded_to_96000"), (20_000, "mfcc_cropped_to_20000")],
)
def test_cepstra(samples, name, golden):
    pytest.importorskip("soxr")
    from speechbrain_e2v.downstream.upstreams.timnet_mfcc import TimnetMfcc

    arrays = golden("timnet_mfcc")
    audio = arrays["audio_int16_22050"].astype(np.float32) / 32768
    found = TimnetMfcc(samples).cepstra(torch.from_numpy(audio))
    assert found.shape == arrays[name].shape
    # Coefficients reach 690.
    np.testing.assert_allclose(found.numpy(), arrays[name], atol=1e-3)


def test_cepstra_of_resampled_audio(golden):
    pytest.importorskip("soxr")
    from speechbrain_e2v.downstream.upstreams.timnet_mfcc import TimnetMfcc

    arrays = golden("timnet_mfcc")
    audio = arrays["audio_int16_16000"].astype(np.float32) / 32768
    (found,) = TimnetMfcc(27_563).extract([torch.from_numpy(audio)])
    np.testing.assert_allclose(
        found.numpy(), arrays["mfcc_of_resampled_soxr_hq"], atol=1e-3
    )


def test_utterances_of_two_lengths_are_refused():
    net = Timnet(39, 7)
    with pytest.raises(ValueError, match="utterances of one length"):
        net.packed(torch.zeros(30, 39), torch.tensor([10, 20]))
