"""SpeechBrain's own class loads the folder, anywhere, and gets it right."""

import json
import random
import subprocess
import sys

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from speechbrain.inference.classifiers import EncoderClassifier
from unit.inference.tiny import noise, tiny_trained, write_run

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.downstream.export import classifier_from_run
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.model_card import model_card

ELSEWHERE = """
import socket, sys, json
def refuse(*arguments, **keywords):
    raise AssertionError("the network was used")
socket.socket.connect = socket.getaddrinfo = refuse
from speechbrain.inference.classifiers import EncoderClassifier
classifier = EncoderClassifier.from_hparams(source=sys.argv[1])
probabilities, score, index, label = classifier.classify_file(sys.argv[2])
print(json.dumps([probabilities.tolist(), label]))
"""


@pytest.fixture(scope="module")
def trained():
    return tiny_trained()


@pytest.fixture
def folder(tmp_path, trained):
    return write_classifier(tmp_path / "classifier", trained)


def stock(folder):
    return EncoderClassifier.from_hparams(
        source=str(folder), run_opts={"device": "cpu"}
    )


def test_another_process_elsewhere_without_network(tmp_path, folder, trained):
    moved = tmp_path / "far" / "away"
    moved.parent.mkdir()
    folder.rename(moved)
    file = tmp_path / "stereo.wav"
    soundfile.write(file, [[x, 0.3 * x] for x in noise(30000, 1)], 22050)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(moved), str(file)],
        cwd=tmp_path / "far",
        capture_output=True,
        text=True,
        check=True,
    )
    found, label = json.loads(done.stdout.splitlines()[-1])
    wav = read_audio(file)
    expected, _ = trained.log_posteriors([wav])
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=0)
    assert label == [trained.labels[int(expected.argmax())].text]
    left = sorted(path.name for path in (tmp_path / "far").iterdir())
    assert left == ["away"]  # no links or copies in the working folder


def test_padded_batches_equal_single_utterances(folder, trained):
    classifier = stock(folder)
    clips = [torch.from_numpy(noise(n, n)) for n in (16000, 5003, 400, 11111)]
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    lengths = torch.tensor([len(clip) for clip in clips]) / 16000
    posteriors, scores, indices, labels = classifier(batch, lengths)
    embeddings = classifier.encode_batch(batch, lengths)
    assert posteriors.shape == (4, 3) and embeddings.shape == (4, 1, 32)
    for row, clip in enumerate(clips):
        alone = classifier.classify_batch(clip)
        expected, mean = trained.log_posteriors([clip])
        for found in (posteriors[row], alone[0][0]):
            torch.testing.assert_close(found, expected[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(
            embeddings[row, 0, :24], mean[0], atol=1e-5, rtol=0
        )
        assert labels[row] == trained.labels[int(indices[row])].text
        assert float(scores[row]) == float(posteriors[row].max())
    again = classifier.mods.classifier(embeddings).squeeze(1)
    assert torch.equal(again, posteriors)


def test_an_offset_does_not_meet_other_clips(folder):
    """SpeechBrain pads before it normalises; each clip is cut out again."""
    classifier = stock(folder)
    clips = [
        0.9 + 1e-4 * torch.from_numpy(noise(9000, 1)),
        torch.from_numpy(noise(16000, 2)),
    ]
    batch = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    lengths = torch.tensor([9000 / 16000, 1.0])
    together = classifier.classify_batch(batch, lengths)[0]
    embeddings = classifier.encode_batch(batch, lengths)
    for row, clip in enumerate(clips):
        alone = classifier.classify_batch(clip)[0]
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(
            embeddings[row], classifier.encode_batch(clip)[0],
            atol=1e-5, rtol=0,
        )  # fmt: skip


def test_our_reader_runs_nothing_and_gives_the_same(folder, trained):
    (folder / "hyperparams.yaml").write_text("!apply:os.abort")
    waveforms = [torch.randn(9000), torch.randn(4000)]
    expected = trained.log_posteriors(waveforms)
    found = read_classifier(folder).log_posteriors(waveforms)
    assert all(map(torch.equal, found, expected))
    assert read_classifier(folder).labels == trained.labels


@pytest.mark.parametrize("name", ["embedding_model", "classifier"])
@pytest.mark.parametrize("read", [stock, read_classifier])
def test_a_wrong_checkpoint_fails(folder, name, read):
    state = load_file(folder / f"{name}.ckpt")
    state["unknown"] = state.pop(next(iter(state)))
    save_file(state, folder / f"{name}.ckpt")
    with pytest.raises(ValueError, match="is not what was written"):
        read(folder)
    without_digests(folder)
    with pytest.raises(ValueError, match="unknown"):
        read(folder)


def without_digests(folder):
    """As in folders of the first format."""
    for path in (folder / "classifier.json", folder / "hyperparams.yaml"):
        if path.suffix == ".json":
            about = json.loads(path.read_text())
            del about["sha256"], about["model_sha256"]
            path.write_text(json.dumps(about))
        else:
            lines = path.read_text().splitlines(keepends=True)
            kept = [x for x in lines if not x.strip().startswith("sha256:")]
            path.write_text("".join(kept))


def test_a_wrong_label_file_fails(folder):
    path = folder / "label_encoder.ckpt"
    text = path.read_text()
    path.write_text(text.replace("'sadness' => 2\n", ""))
    with pytest.raises(ValueError, match="3 classes"):
        stock(folder)


def test_only_classifier_folders_are_replaced(tmp_path, folder, trained):
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_classifier(folder, trained)
    write_classifier(folder, trained, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(FileExistsError, match="holds other files"):
        write_classifier(tmp_path / "mine", trained, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classifier", "mine"]


def test_an_interrupted_export_leaves_nothing(tmp_path, trained, monkeypatch):
    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr(
        "speechbrain_e2v.inference.classifier_folder.model_card", full
    )
    with pytest.raises(OSError, match="no space"):
        write_classifier(tmp_path / "classifier", trained)
    assert not list(tmp_path.iterdir())


def test_labels_and_outputs_must_agree(trained):
    from speechbrain_e2v.inference.trained import TrainedClassifier

    with pytest.raises(ValueError, match="3 outputs, but there are 2 labels"):
        TrainedClassifier(
            trained.embedding, trained.classifier, trained.labels[:2]
        )


@pytest.mark.parametrize("read", [stock, read_classifier])
@pytest.mark.parametrize("name", ["embedding_model", "classifier"])
def test_flipped_bits_in_weights_are_refused(folder, name, read):
    path = folder / f"{name}.ckpt"
    data = path.read_bytes()
    generator = random.Random(0)
    start = 8 + int.from_bytes(data[:8], "little")
    for place in generator.sample(range(start, len(data)), 10):
        flipped = data[place] ^ (1 << generator.randrange(8))
        path.write_bytes(data[:place] + bytes([flipped]) + data[place + 1 :])
        with pytest.raises(ValueError, match=rf"{name}\.ckpt is not what was"):
            read(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("temperature", 1.25),
        ("layer", 0),
        ("labels", [{"id": n, "published": n, "text": n} for n in "abc"]),
    ],
)
def test_another_model_than_was_written_is_refused(folder, key, value):
    path = folder / "classifier.json"
    about = json.loads(path.read_text())
    path.write_text(json.dumps({**about, key: value}))
    with pytest.raises(ValueError, match="labels are not what was written"):
        read_classifier(folder)
    # Whatever a reader may change: the card of the folder.
    path.write_text(json.dumps({**about, "kind": "mine"}))
    assert read_classifier(folder).about["kind"] == "mine"


def mutations(value, path=()):
    """The document with one value of it of another kind, for every value."""
    for odd in (None, [], {}, "x", -1, 2**40, "\x1b[2J"):
        yield path, odd
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value))[:1]
    for key, item in items:
        yield (*path, key), "delete"
        yield from mutations(item, (*path, key))


def mutated(document, path, value):
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    if len(path) == 1 and value == "delete":
        del copy[path[0]]
    else:
        copy[path[0]] = mutated(copy[path[0]], path[1:], value)
    return copy


def test_descriptions_of_any_shape_are_refused_in_one_line(tmp_path):
    """Also without the digest, which whoever writes a folder can make."""
    run = write_run(tmp_path)
    trained = classifier_from_run(run, progress=False)
    folder = write_classifier(tmp_path / "classifier", trained)
    path = folder / "classifier.json"
    about = json.loads(path.read_text())
    del about["model_sha256"]
    tried = refused = 0
    for place, value in mutations(about):
        path.write_text(json.dumps(mutated(about, place, value)))
        tried += 1
        try:
            read_classifier(folder)
            model_card(json.loads(path.read_text()))
        except ValueError as error:
            refused += 1
            assert str(path) in str(error) or ".ckpt" in str(error), place
            assert len(str(error).split(":")[0]) < 300
    assert tried > 500 and refused > tried / 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoder": {"embed_dim": 10**9}}, "embed_dim"),
        ({"encoder": {"depth": 10**9}}, "depth"),
        ({"hidden": 10**9}, "hidden"),
        ({"hidden": 2**20}, "should be"),
        ({"n_classes": 2}, "n_classes is 2, but there are 3 labels"),
        ({"layer": 7}, "layer is 7"),
        ({"layer": "weighted"}, "missing layer_weights"),
        ({"format": 3}, "format"),
        ({"temperature": 0}, "temperature"),
    ],
)
def test_sizes_are_checked_before_anything_is_built(folder, change, words):
    path = folder / "classifier.json"
    about = json.loads(path.read_text())
    del about["model_sha256"]
    for key, value in change.items():
        if isinstance(value, dict):
            about[key] |= value
        else:
            about[key] = value
    path.write_text(json.dumps(about))
    with pytest.raises(ValueError, match=words):
        read_classifier(folder)


def test_folders_of_the_first_format_are_read(folder, trained):
    path = folder / "classifier.json"
    about = json.loads(path.read_text())
    for key in ("classifier_hidden", "width", "sha256", "model_sha256"):
        del about[key]
    path.write_text(json.dumps({**about, "format": 1}))
    waveforms = [torch.from_numpy(noise(9000, 1))]
    expected = trained.log_posteriors(waveforms)
    found = read_classifier(folder).log_posteriors(waveforms)
    assert all(map(torch.equal, found, expected))
    assert "first 24 numbers" in model_card(json.loads(path.read_text()))
