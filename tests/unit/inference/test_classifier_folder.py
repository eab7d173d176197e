"""SpeechBrain's own class loads the folder, anywhere, and gets it right."""

import json
import subprocess
import sys

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from speechbrain.inference.classifiers import EncoderClassifier
from unit.inference.tiny import noise, tiny_trained

from speechbrain_e2v.corpora.audio import read_audio
from speechbrain_e2v.inference.classifier_folder import (
    read_classifier,
    write_classifier,
)

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
    with pytest.raises(ValueError, match="unknown"):
        read(folder)


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
