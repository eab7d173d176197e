"""emotion2vec+ folders: the reference's scores, through every interface."""

import pytest
import torch
from speechbrain.inference.classifiers import EncoderClassifier
from unit.published.published_tiny import (
    tiny_pair,
    write_fairseq,
    write_funasr,
)

from speechbrain_e2v.downstream.export import trained_classifier
from speechbrain_e2v.inference.classifier import EmotionClassifier
from speechbrain_e2v.inference.classifier_folder import write_classifier
from speechbrain_e2v.inference.trained import classifier_from_published
from speechbrain_e2v.published.head import NINE_TOKENS


def nine_class_folder(folder, state, sizes, tokens=NINE_TOKENS):
    import yaml

    folder.mkdir()
    torch.save({"model": state}, folder / "model.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump({"model_conf": sizes}))
    (folder / "tokens.txt").write_text("\n".join(tokens), "utf-8")
    return folder


@pytest.fixture(scope="module")
def reference(golden):
    return golden("tiny_features.npz")


@pytest.fixture(scope="module")
def plus(golden, tmp_path_factory):
    cfg = golden("tiny_config.json")["cfg"]
    return nine_class_folder(
        tmp_path_factory.mktemp("plus") / "tiny_plus",
        golden("tiny_funasr_state.safetensors"),
        cfg,
    )


def test_scores_are_the_reference_s(plus, reference, tmp_path):
    folder = write_classifier(
        tmp_path / "folder", classifier_from_published(plus)
    )
    wav = torch.from_numpy(reference["feat/utt0/audio"]).flatten()
    expected = torch.from_numpy(reference["feat/utt0/funasr_probs"]).flatten()
    for source in (plus, folder):
        classifier = EmotionClassifier.from_pretrained(source, "cpu")
        [found] = classifier.classify([wav])
        torch.testing.assert_close(
            torch.tensor(list(found.scores.values())), expected,
            atol=1e-5, rtol=0,
        )  # fmt: skip
        assert list(found.scores) == [
            "angry", "disgusted", "fearful", "happy", "neutral", "other",
            "sad", "surprised", "unknown",
        ]  # fmt: skip
        assert found.published == NINE_TOKENS[int(expected.argmax())]
    stock = EncoderClassifier.from_hparams(
        source=str(folder), run_opts={"device": "cpu"}
    )
    posteriors, _, _, labels = stock.classify_batch(wav)
    torch.testing.assert_close(posteriors[0].exp(), expected, atol=1e-5, rtol=0)
    assert labels == [found.label]


def test_outputs_that_were_never_trained_get_nothing(tmp_path):
    tokens = list(NINE_TOKENS)
    tokens[1], tokens[2] = "unuse_0", "unuse_1"
    student, _ = tiny_pair()
    folder, head = write_funasr(tmp_path / "m", student, tokens)
    trained = classifier_from_published(folder)
    assert len(trained.labels) == 7
    log_posteriors, mean = trained.log_posteriors([torch.randn(8000)])
    logits = mean @ head["proj.weight"].T + head["proj.bias"]
    logits[:, 1:3] = float("-inf")
    expected = logits.softmax(1)[:, [0, 3, 4, 5, 6, 7, 8]]
    torch.testing.assert_close(log_posteriors.exp(), expected)


def test_weights_without_a_head_are_refused(tmp_path):
    path = write_fairseq(tmp_path / "emotion2vec_base.pt", tiny_pair()[0])
    with pytest.raises(ValueError, match="no classification head"):
        classifier_from_published(path)


def test_options_of_runs_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"results\.json is missing"):
        trained_classifier(tmp_path, fold="1")
