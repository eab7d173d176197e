"""Files in the published nesting load, and give the reference's numbers."""

import argparse
import collections
import json

import numpy as np
import pytest
import torch
from equivalence.published_names_d2v1 import huggingface_state
from safetensors.torch import save_file

from speechbrain_e2v.lobes.data2vec1 import Data2vec1Encoder
from speechbrain_e2v.lobes.frontend import normalise_waveform
from speechbrain_e2v.published.convert import convert
from speechbrain_e2v.published.data2vec1_layout import read_data2vec1
from speechbrain_e2v.published.data2vec1_names import (
    expected_shapes,
    model_sizes,
    published_names,
)
from speechbrain_e2v.published.emotion2vec_layout import read_emotion2vec
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.load import load_pretrained, read_pretrained
from speechbrain_e2v.published.read import read_published


def nested(state):
    """Put `_ema.` entries into a dict of their own, as fairseq saves them."""
    prefix = "_ema."
    model = collections.OrderedDict(
        (k, v) for k, v in state.items() if not k.startswith(prefix)
    )
    ema = {
        k.removeprefix(prefix): v for k, v in state.items() if k not in model
    }
    if ema:
        model["_ema"] = ema
    return model


def write_fairseq(path, state, cfg):
    """Write a file with all that fairseq puts around the weights."""
    parameter = next(iter(state.values()))
    content = {
        "args": None,
        "cfg": {
            "common": argparse.Namespace(seed=1, user_dir="examples/data2vec"),
            "task": {"_name": "audio_pretraining", "normalize": True},
            "model": argparse.Namespace(**cfg),
        },
        "model": nested(state),
        "criterion": {},
        "optimizer_history": [
            {
                "criterion_name": "ModelCriterion",
                "optimizer_name": "FP16Optimizer",
                "lr_scheduler_state": {"best": None},
                "num_updates": 100000,
            }
        ],
        "task_state": {},
        "extra_state": {
            "train_iterator": {"epoch": 7, "iterations_in_epoch": 3},
            "val_loss": np.float64(0.25),
            "metrics": collections.OrderedDict(
                default=[(100, "loss", "AverageMeter", {"val": None, "n": 3})]
            ),
        },
        "last_optimizer_state": {
            "state": {0: {"step": 5, "exp_avg": torch.randn(5000)}},
            "param_groups": [{"lr": 7.5e-5, "betas": (0.9, 0.98)}],
            "loss_scale": np.float32(128.0),
            "like": torch.nn.Parameter(parameter.clone()),
        },
    }
    torch.save(content, path)
    return path


@torch.no_grad()
def features(encoder, audio):
    return encoder(normalise_waveform(torch.from_numpy(audio)[None]))


def test_fairseq_file_gives_the_reference_features(tmp_path, golden, tiny_pair):
    cfg = golden("tiny_config.json")["cfg"]
    state = golden("tiny_fairseq_state.safetensors")
    model = read_pretrained(write_fairseq(tmp_path / "x.pt", state, cfg))
    arrays = golden("tiny_features")
    for i in range(3):
        ours = features(model.encoder, arrays[f"feat/utt{i}/audio"])
        np.testing.assert_allclose(ours, arrays[f"feat/utt{i}/x"], atol=1e-4)
    # Decoder and teacher, against the independent loader of these tests.
    student, teacher = tiny_pair
    for found, module in (
        (model.decoder, student.decoder),
        (model.teacher, teacher.context),
    ):
        expected = module.state_dict()
        assert set(found) == set(expected)
        assert all(torch.equal(found[k], v) for k, v in expected.items())
    assert len(model.left_out) == 5, model.left_out
    assert "notes" not in model.card


def test_funasr_folder_gives_the_reference_scores(tmp_path, golden):
    cfg = golden("tiny_config.json")["cfg"]
    state = golden("tiny_funasr_state.safetensors")
    torch.save({"model": state}, tmp_path / "model.pt")
    settings = {"model": "Emotion2vec", "model_conf": cfg}
    settings["scope_map"] = ["d2v_model.", "none"]
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    model = read_pretrained(tmp_path)
    arrays = golden("tiny_features")
    frames = features(model.encoder, arrays["feat/utt0/audio"])
    pooled = frames.mean(1)
    for ours, name in (
        (model.head.logits(pooled), "funasr_logits"),
        (model.head.probabilities(pooled), "funasr_probs"),
    ):
        np.testing.assert_allclose(
            ours.numpy(), arrays[f"feat/utt0/{name}"], atol=1e-5, rtol=1e-5
        )
    assert model.left_out == []


def empty(shapes):
    """Tensors of these shapes that take no memory."""
    return {n: torch.empty(s, device="meta") for n, s in shapes.items()}


def under_ema(shapes):
    return {f"_ema.{name}": shape for name, shape in shapes.items()}


def test_every_published_key_list_is_fully_explained(golden):
    lists = golden("state_dict_keys.json")
    seen = []
    for title, shapes in lists.items():
        student = shapes.get("student", shapes)
        tensors = empty(student | under_ema(shapes.get("_ema", {})))
        weights = read_emotion2vec(tensors, None, title)
        assert not weights.dropped
        decoder = sum(v.numel() for v in (weights.decoder or {}).values())
        encoder = sum(v.numel() for v in weights.encoder.values())
        head = 0
        if weights.head is not None:
            head = weights.head.weight.numel() + weights.head.bias.numel()
        total = sum(int(np.prod(shape)) for shape in student.values())
        assert encoder + decoder + head == total
        assert (weights.teacher is None) == ("_ema" not in shapes)
        sizes = weights.sizes
        seen.append(
            (
                sizes["embed_dim"],
                sizes["num_heads"],
                sizes["prenet_depth"],
                sizes["depth"],
                sizes["num_extra_tokens"],
                encoder + decoder,
                head,
            )
        )
    # Parameter counts: paper table 2 and the file of plus_large.
    assert seen == [
        (768, 12, 4, 8, 0, 93_783_308, 0),
        (768, 12, 4, 8, 10, 93_790_988, 0),
        (768, 12, 4, 8, 10, 93_171_212, 9 * 769),
        (1024, 16, 4, 8, 10, 162_130_960, 9225),
    ]


@pytest.mark.parametrize("size", ["tiny", "base_full"])
def test_data2vec1_keys_are_fully_explained(golden, size):
    lists = golden(f"d2v1_{size}_keys.json")
    student = empty(lists["student"])
    teacher = empty(under_ema(lists["_ema"]))
    weights = read_data2vec1(student | teacher, None, size)
    assert not weights.dropped
    names = [n for name in named(weights) for n in published_names(name)]
    assert sorted(names) == sorted(student)
    names = [
        part.removeprefix("encoder.")
        for name in weights.teacher
        if name != "extra_tokens"
        for part in published_names(f"context.{name}")
    ]
    assert sorted(names) == sorted(lists["_ema"])
    if size == "base_full":
        count = sum(v.numel() for v in named(weights).values())
        assert count == 93_754_880  # 93.75 M: paper, table 2
        assert weights.sizes["num_heads"] == 12


def test_data2vec1_file_values(tmp_path, golden):
    state = golden("d2v1_tiny_fairseq_state.safetensors")
    renamed = {
        name.replace("final_proj.", "final_proj.0."): value
        for name, value in state.items()
    }  # the released file has a Sequential there
    path = write_fairseq(tmp_path / "audio.pt", renamed, {"encoder_layers": 3})
    published = read_published(path)
    check_data2vec1(published, state)
    model = read_pretrained(path)
    assert isinstance(model.encoder, Data2vec1Encoder)
    with pytest.raises(ValueError, match="is a data2vec1 encoder: the layout"):
        convert(path, tmp_path / "again.pt", "fairseq")
    folder = tmp_path / "encoder"
    convert(path, folder)
    assert "kind: data2vec1" in (folder / "encoder.yaml").read_text("utf-8")
    again, card = load_pretrained(folder)
    assert weights_digest(again) == weights_digest(model.encoder)
    assert len(card["left_out"]) == 6, card["left_out"]


@pytest.mark.parametrize("prefix", ["", "data2vec_audio."])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_huggingface_folder_values(tmp_path, golden, prefix, name):
    state = nested(golden("d2v1_tiny_fairseq_state.safetensors"))
    del state["_ema"]
    theirs = {f"{prefix}{k}": v for k, v in huggingface_state(state).items()}
    if prefix:
        theirs["lm_head.weight"] = torch.ones(2, 48)
    if name.endswith("bin"):
        torch.save(theirs, tmp_path / name)
    else:
        save_file(theirs, tmp_path / name)
    config = {"hidden_size": 48, "num_attention_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    published = read_published(tmp_path)
    assert published.layout == "huggingface"
    assert published.sizes["num_heads"] == 4
    assert list(published.dropped) == (["lm_head.weight"] if prefix else [])
    check_data2vec1(published, state)


def named(weights):
    """All tensors of a data2vec v1 student, as `published_names` knows them."""
    found = {f"prediction.{k}": v for k, v in (weights.decoder or {}).items()}
    found |= weights.encoder | {"mask_embedding": weights.mask_embedding}
    assert not found.pop("context.extra_tokens").numel()
    return found


def check_data2vec1(weights, state):
    """Compare value by value with the official state."""
    taken = set()
    for name, value in named(weights).items():
        parts = published_names(name)
        for part, ours in zip(parts, value.chunk(len(parts)), strict=True):
            assert torch.equal(ours, state[part]), name
            taken.add(part)
    left = {k for k in state if not k.startswith("_ema.")} - taken
    assert left <= {"final_proj.weight", "final_proj.bias"}
    for name, value in (weights.teacher or {}).items():
        if name == "extra_tokens":
            continue
        parts = [
            part.removeprefix("encoder.")
            for part in published_names(f"context.{name}")
        ]
        expected = torch.cat([state[f"_ema.{part}"] for part in parts])
        assert torch.equal(value, expected)


def test_missing_and_strange_data2vec1_tensors_are_listed(golden):
    shapes = dict(golden("d2v1_tiny_keys.json")["student"])
    del shapes["encoder.layers.1.fc2.bias"]
    shapes["encoder.layers.1.odd"] = [3]
    with pytest.raises(ValueError) as error:
        read_data2vec1(empty(shapes), None, "x.pt")
    assert "missing encoder.layers.1.fc2.bias (48,)" in str(error.value)
    assert "unexpected encoder.layers.1.odd (3,)" in str(error.value)


def test_our_data2vec1_shapes(golden):
    shapes = golden("d2v1_base_full_keys.json")["student"]
    expected = expected_shapes(model_sizes(shapes, "x"))
    assert expected["context.blocks.11.attention.qkv.weight"] == (2304, 768)
    assert expected["context.positional.blocks.4.conv.weight"] == (768, 48, 19)
