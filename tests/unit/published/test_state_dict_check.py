"""A file that fits only in part is refused."""

import pytest
import torch
from safetensors.torch import save_file
from speechbrain.dataio.encoder import CategoricalEncoder

from speechbrain_e2v.published.state_dict_check import load_labels, load_strict


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"weight": torch.zeros(3, 2)}, "bias"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}, "weight"),
        (
            {
                "weight": torch.zeros(3, 2),
                "bias": torch.zeros(3),
                "extra": torch.zeros(1),
            },
            "extra",
        ),
    ],
)
def test_every_parameter_must_fit(tmp_path, state, named):
    save_file(state, tmp_path / "x.ckpt")
    layer = torch.nn.Linear(2, 3)
    before = layer.weight.clone()
    with pytest.raises(ValueError, match=named):
        load_strict(layer, tmp_path / "x.ckpt")
    assert torch.equal(layer.weight, before)


def test_half_a_file_is_refused(tmp_path):
    path = tmp_path / "x.ckpt"
    save_file(torch.nn.Linear(2, 3).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_strict(torch.nn.Linear(2, 3), path)


def label_file(path, labels):
    lines = [f"{label!r} => {index}" for label, index in labels.items()]
    tail = ["=" * 16, "'starting_index' => 0"]
    path.write_text("\n".join(lines + tail) + "\n")
    return path


def test_labels_are_loaded_and_counted(tmp_path):
    path = label_file(tmp_path / "l.ckpt", {"a": 0, "b": 1})
    encoder = CategoricalEncoder()
    load_labels(encoder, path, 2)
    assert encoder.decode_torch(torch.tensor([1, 0])) == ["b", "a"]
    encoder.add_label("c")
    with pytest.raises(RuntimeError, match=r"expect_len\(2\)"):
        encoder.encode_label("a")


@pytest.mark.parametrize(
    "labels", [{"a": 0}, {"a": 0, "b": 2}, {"a": 0, "b": 1, "c": 2}, {}]
)
def test_labels_must_be_all_classes(tmp_path, labels):
    path = label_file(tmp_path / "l.ckpt", labels)
    with pytest.raises(ValueError, match="the classifier has 2 classes"):
        load_labels(CategoricalEncoder(), path, 2)
