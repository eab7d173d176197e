"""Published layouts: all tensors accounted for, or a list of what is wrong."""

import warnings

import pytest
import torch
import yaml
from safetensors.torch import save_file
from unit.published.published_tiny import (
    config,
    fairseq_content,
    tensors_of,
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.published.convert import fixed_signal
from speechbrain_e2v.published.encoder_folder import weights_digest
from speechbrain_e2v.published.head import NINE_TOKENS
from speechbrain_e2v.published.load import (
    load_pretrained,
    read_pretrained,
)

AUDIO = "modality_encoders.AUDIO"


def same(state, expected):
    assert set(state) == set(expected)
    for name, value in expected.items():
        assert torch.equal(state[name], value), name


@pytest.mark.parametrize("tokens", [3, 0])
@pytest.mark.parametrize("older", [False, True])
def test_fairseq_file_gives_every_part_back(tmp_path, tokens, older):
    student, teacher = tiny_pair(tokens)
    path = tmp_path / "checkpoint_last.pt"
    torch.save(
        fairseq_content(student, teacher),
        path,
        _use_new_zipfile_serialization=not older,
    )
    before = torch.random.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = read_pretrained(path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert weights_digest(model.encoder) == weights_digest(student.encoder)
    expected = {**student.encoder.config, "mlp_ratio": 4.0}
    assert model.encoder.config == expected
    assert not model.encoder.training
    same(model.decoder, student.decoder.state_dict())
    same(model.teacher, teacher.context.state_dict())
    assert model.head is None
    listed = "\n".join(model.left_out)
    for part in ("decoder", "teacher (_ema)", "last_optimizer_state"):
        assert f"{part}: " in listed
    assert listed.count("not needed for inference") == len(model.left_out)


def test_file_without_teacher_config_or_wrapper(tmp_path):
    student, _ = tiny_pair()
    path = tmp_path / "weights.pth"
    torch.save(tensors_of(student.encoder), path)
    model = read_pretrained(path)
    assert weights_digest(model.encoder) == weights_digest(student.encoder)
    assert (model.teacher, model.decoder, model.left_out) == (None, None, [])


def test_flat_safetensors_with_teacher(tmp_path):
    student, teacher = tiny_pair()
    state = tensors_of(student.encoder)
    for name, value in tensors_of(teacher.context, "context.").items():
        state[f"_ema.{name}"] = value
    save_file(state, tmp_path / "x.safetensors")
    model = read_pretrained(tmp_path / "x.safetensors")
    same(model.teacher, teacher.context.state_dict())


def test_early_files_have_a_scale_of_four_dimensions(tmp_path):
    student, _ = tiny_pair()
    state = tensors_of(student.encoder)
    state[f"{AUDIO}.alibi_scale"] = state[f"{AUDIO}.alibi_scale"][0]
    torch.save(state, tmp_path / "x.pt")
    encoder, _ = load_pretrained(tmp_path / "x.pt")
    assert weights_digest(encoder) == weights_digest(student.encoder)


def test_half_precision_becomes_single(tmp_path):
    student, _ = tiny_pair()
    state = {k: v.half() for k, v in tensors_of(student.encoder).items()}
    torch.save(state, tmp_path / "x.pt")
    encoder, card = load_pretrained(tmp_path / "x.pt")
    expected = student.encoder.frontend.layers[0].weight.half().float()
    assert torch.equal(encoder.frontend.layers[0].weight, expected)
    assert card["notes"] == ["stored as torch.float16, read as float32"]


def test_funasr_folder_with_bilingual_and_unused_labels(tmp_path):
    student, _ = tiny_pair()
    tokens = list(NINE_TOKENS)
    tokens[1], tokens[5] = "unuse_0", "unuse_其他/other"
    text = yaml.safe_dump({"model": "Emotion2vec", "model_conf": config()})
    folder, head = write_funasr(tmp_path / "plus", student, tokens, text)
    for source in (folder, folder / "model.pt"):
        model = read_pretrained(source)
        assert model.layout == "funasr"
        assert weights_digest(model.encoder) == weights_digest(student.encoder)
        ids = "angry unuse_1 fearful happy neutral unuse_5 sad surprised"
        assert model.head.ids == [*ids.split(), "unknown"]
        assert [label.published for label in model.head.labels] == tokens
        pooled = model.encoder(fixed_signal()).mean(1)
        logits = pooled @ head["proj.weight"].T + head["proj.bias"]
        logits[:, [1, 5]] = -torch.inf
        torch.testing.assert_close(
            model.head.probabilities(pooled), logits.softmax(1)
        )
        assert model.head.probabilities(pooled)[0, [1, 5]].sum() == 0


def test_nine_outputs_without_tokens_have_the_published_labels(tmp_path):
    folder, _ = write_funasr(tmp_path / "plus", tiny_pair()[0])
    model = read_pretrained(folder)
    assert model.head.ids == [
        "angry",
        "disgusted",
        "fearful",
        "happy",
        "neutral",
        "other",
        "sad",
        "surprised",
        "unknown",
    ]


def test_labels_of_another_model(tmp_path):
    folder, _ = write_funasr(tmp_path / "x", tiny_pair()[0], NINE_TOKENS[:5])
    with pytest.raises(ValueError, match="9 outputs, but there are 5 labels"):
        read_pretrained(folder)


def test_everything_wrong_is_listed_by_published_name(tmp_path):
    student, _ = tiny_pair()
    content = fairseq_content(student)
    state = content["model"]
    del state["blocks.1.mlp.fc1.weight"]
    del state[f"{AUDIO}.context_encoder.norm.bias"]
    state["blocks.0.norm1.weight"] = torch.ones(47)
    state["blocks.0.mystery.weight"] = torch.ones(2, 2)
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="does not fit") as error:
        load_pretrained(tmp_path / "x.pt")
    text = str(error.value)
    assert "missing blocks.1.mlp.fc1.weight (192, 48)" in text
    assert f"missing {AUDIO}.context_encoder.norm.bias (48,)" in text
    assert "unexpected blocks.0.mystery.weight (2, 2)" in text
    assert "blocks.0.norm1.weight is (47,), should be (48,)" in text
    assert text.count("\n") == 4


def test_every_single_missing_encoder_tensor_fails(tmp_path):
    student, _ = tiny_pair()
    whole = tensors_of(student.encoder)
    path = tmp_path / "x.safetensors"
    for name in whole:
        if name == f"{AUDIO}.extra_tokens":
            continue  # a model without extra tokens, as data2vec 2.0
        save_file({k: v for k, v in whole.items() if k != name}, path)
        with pytest.raises(
            ValueError, match=r"lacks|missing|none of the known"
        ):
            load_pretrained(path)


def test_missing_extra_tokens_are_noticed_with_a_config(tmp_path):
    content = fairseq_content(tiny_pair()[0])
    del content["model"][f"{AUDIO}.extra_tokens"]
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="num_extra_tokens is 3 in the config"):
        load_pretrained(tmp_path / "x.pt")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"depth": 12}, "depth is 12 in the config, 2 in the tensors"),
        ({"embed_dim": 768}, "embed_dim is 768 in the config"),
        ({"norm_eps": "tiny"}, "norm_eps is 'tiny' in the config"),
        ({"depth": 10**400}, "not a number of a model"),
        ({"dropout_input": 0, "layerdrop": 7}, "layerdrop: expected `float` <"),
        ({"modalities": [1]}, "modalities is .1. in the config: not settings"),
        ({"layer_norm_first": True}, "layer_norm_first is True"),
        ({"normalize": False}, "not normalised"),
    ],
)
def test_config_of_another_model(tmp_path, change, match):
    text = yaml.safe_dump({"model_conf": config() | change})
    folder, _ = write_funasr(tmp_path / "x", tiny_pair()[0], None, text)
    with pytest.raises(ValueError, match=match):
        load_pretrained(folder)


def test_config_gives_what_tensors_cannot_tell(tmp_path):
    change = config() | {"layerdrop": 0.0, "norm_eps": 1e-6}
    change["modalities"]["audio"]["conv_pos_width"] = 97
    text = yaml.safe_dump({"model_conf": change})
    text = text.replace("1.0e-06", "1e-06")  # as published: YAML sees a text
    assert "1e-06" in text
    folder, _ = write_funasr(tmp_path / "x", tiny_pair()[0], None, text)
    encoder, _ = load_pretrained(folder)
    found = {k: encoder.config[k] for k in ("layerdrop", "norm_eps")}
    assert found == {"layerdrop": 0.0, "norm_eps": 1e-6}
    assert encoder.config["pos_conv_width"] == 97


def test_numbers_that_are_not_finite(tmp_path):
    student, _ = tiny_pair()
    student.encoder.context.norm.bias.data[3] = torch.nan
    path = write_fairseq(tmp_path / "x.pt", student)
    with pytest.raises(ValueError, match=r"context_encoder\.norm\.bias holds"):
        load_pretrained(path)


def test_other_decoders_and_teachers_do_not_stop_the_encoder(tmp_path):
    student, teacher = tiny_pair()
    content = fairseq_content(student, teacher)
    content["model"][f"{AUDIO}.decoder.transformer.0.weight"] = torch.ones(2)
    del content["model"]["_ema"]["blocks.0.norm1.bias"]
    torch.save(content, tmp_path / "x.pt")
    model = read_pretrained(tmp_path / "x.pt")
    assert (model.decoder, model.teacher) == (None, None)
    listed = "\n".join(model.left_out)
    assert "decoder unlike ours" in listed
    assert "whose parts are not the student's" in listed


def test_unknown_files_say_what_they_hold(tmp_path):
    torch.save({"model": {"lstm.weight": torch.ones(2)}}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"its tensors are lstm\.weight"):
        load_pretrained(tmp_path / "a.pt")
    torch.save([1, 2], tmp_path / "b.pt")
    with pytest.raises(ValueError, match="holds a list"):
        load_pretrained(tmp_path / "b.pt")
    torch.save({"model": {"a": "text"}}, tmp_path / "c.pt")
    with pytest.raises(ValueError, match="no tensors"):
        load_pretrained(tmp_path / "c.pt")


def test_folders_without_or_with_too_many_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        load_pretrained(tmp_path)
    student, _ = tiny_pair()
    for name in ("a.pt", "b.pt"):
        write_fairseq(tmp_path / name, student)
    with pytest.raises(ValueError, match="several checkpoints"):
        load_pretrained(tmp_path)


def test_huge_sizes_are_refused_before_memory_is_taken(tmp_path):
    state = tensors_of(tiny_pair()[0].encoder)
    state["blocks.100000.norm1.bias"] = torch.ones(48)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="names block 100000"):
        load_pretrained(tmp_path / "x.pt")
