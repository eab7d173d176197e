"""What is free moves, every tensor of it; what is frozen keeps its bits."""

import pytest
import torch
from unit.downstream.finetuning import tuning
from unit.inference.tiny import tiny_encoder

from speechbrain_e2v.downstream.finetuning.learning_rates import (
    LearningRates,
    Unfreezing,
    parameter_groups,
)
from speechbrain_e2v.downstream.finetuning.lora import LowRank, merge_adapters
from speechbrain_e2v.downstream.finetuning.model import TunedEncoder
from speechbrain_e2v.downstream.finetuning.what_trains import (
    Biases,
    Full,
    HeadOnly,
    TopLayers,
    block_of,
)
from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.heads import LinearHead


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tuning.corpus(tmp_path_factory.mktemp("corpus"))


def names(free):
    return {n for n, _ in tiny_encoder(depth=2).named_parameters() if free(n)}


KINDS = {
    "full": (Full(), lambda n: not n.startswith("frontend.")),
    "with the front end": (Full(frontend=True), lambda n: True),
    "top": (TopLayers(2), lambda n: block_of(n) >= 1),
    "biases": (Biases(), lambda n: block_of(n) >= 0 and n.endswith("bias")),
    "head": (HeadOnly(), lambda n: False),
    "lora": (
        LowRank(rank=2, targets=("*.qkv", "*.fc2")),
        lambda n: n.endswith(("qkv.weight", "fc2.weight")),
    ),
    "lora on top": (
        LowRank(rank=2, targets=("*.fc1",), layers=1),
        lambda n: n.endswith("blocks.2.fc1.weight"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_what_is_free_moves(kind, store, tmp_path):
    what, free = KINDS[kind]
    before = {k: v.clone() for k, v in store.encoder.state_dict().items()}
    result = tuning.tuned(store, tmp_path / "save", what_trains=what)
    assert result.encoder.keys() == names(free)
    # the corpus's own encoder is nobody's to change
    for name, value in store.encoder.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert (result.tuned_parameters > 0) == bool(result.encoder)
    assert not list((tmp_path / "save").iterdir())


@pytest.mark.parametrize("kind", ["full", "with the front end", "lora"])
def test_data2vec1_is_tuned_as_well(kind, tmp_path):
    what, free = KINDS[kind]
    torch.manual_seed(0)
    encoder = Data2vec1Encoder(
        embed_dim=24, num_heads=2, depth=2, conv_channels=16,
        pos_conv_groups=2, pos_conv_width=20, pos_conv_depth=2,
    )  # fmt: skip
    store = tuning.corpus(tmp_path / "corpus", encoder=encoder)
    result = tuning.tuned(store, tmp_path / "save", what_trains=what)
    expected = {
        name
        for name, parameter in encoder.named_parameters()
        if free(name) and parameter.numel()  # it has no extra tokens
    }
    assert result.encoder.keys() == expected


def test_the_head_moves_first(store, tmp_path):
    """Of six updates none is the encoder's, or four its top block's."""
    once = {"number_of_epochs": 1, "batch_size": 1}
    head = tuning.tuned(
        store, tmp_path / "a", unfreezing=Unfreezing(freeze_updates=6), **once
    )
    assert not head.encoder
    blocks = tuning.tuned(
        store, tmp_path / "b", unfreezing=Unfreezing(2, 2), **once
    )
    assert {block_of(name) for name in blocks.encoder} == {2, 1}


def test_blocks_that_nothing_reads_stay(tmp_path):
    store = tuning.corpus(tmp_path / "corpus", layer=1)
    result = tuning.tuned(store, tmp_path / "save")
    assert {block_of(name) for name in result.encoder} == {-1, 0, 1}


def test_rates_fall_with_depth():
    encoder = tiny_encoder(depth=2)
    model = TunedEncoder(encoder, -1, LinearHead(24, 3))
    Full(frontend=True).open(encoder, model.used_blocks)
    groups = parameter_groups(
        model, LearningRates(encoder=1.0, head=7.0, decay=0.5), Unfreezing()
    )
    rates = {group["name"]: group["lr_factor"] for group in groups}
    assert rates == {
        "head": 7.0, "block 2": 1.0, "block 1": 0.5, "block 0": 0.25,
        "below the blocks": 0.125, "front end": 0.0625,
    }  # fmt: skip
    grouped = [p for group in groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters()}
    for group in groups:
        vectors = {p.ndim <= 1 for p in group["params"]}
        assert vectors == {group.get("weight_decay") == 0.0}


def test_merged_adapters_equal_adapters():
    torch.manual_seed(0)
    encoder = tiny_encoder(depth=2).double().eval()
    wav, lengths = torch.randn(2, 4000).double(), torch.tensor([1.0, 0.6])
    plain = encoder(wav, lengths)
    LowRank(rank=3, alpha=6.0).open(encoder, used_blocks=3)
    encoder.double()
    begin = encoder(wav, lengths)  # with nothing to add
    assert (begin - plain).abs().max() < 1e-12
    for name, parameter in encoder.named_parameters():
        if "adapter_up" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    adapted = encoder(wav, lengths)
    assert (adapted - plain).abs().max() > 1e-2
    names_before = {n for n, _ in tiny_encoder(depth=2).named_parameters()}
    merge_adapters(encoder)
    assert {n for n, _ in encoder.named_parameters()} == names_before
    assert (encoder(wav, lengths) - adapted).abs().max() < 1e-10
    single = encoder.float()(wav.float(), lengths)
    assert (single - adapted).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (TopLayers(4), "train 1 to 3"),
        (LowRank(rank=0), "rank is 0"),
        (LowRank(targets=("*.query",)), "no linear layer"),
    ],
)
def test_what_cannot_be_trained_is_said(what, message):
    with pytest.raises(ValueError, match=message):
        what.open(tiny_encoder(depth=2), used_blocks=3)


def test_frozen_blocks_have_no_dropout():
    encoder = tiny_encoder(depth=2)
    model = TunedEncoder(encoder, -1, LinearHead(24, 3))
    TopLayers(1).open(encoder, model.used_blocks)
    model.train()
    modes = {n: m.training for n, m in encoder.context.blocks.named_children()}
    assert modes == {"0": False, "1": False, "2": True}
    assert not encoder.frontend.training
