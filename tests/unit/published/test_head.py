"""Labels of the published heads."""

import pytest

from speechbrain_e2v.published.head import (
    NINE_TOKENS,
    read_labels,
    read_tokens,
)

NINE = "angry disgusted fearful happy neutral other sad surprised unknown"


@pytest.mark.parametrize(
    "tokens",
    [
        NINE_TOKENS,
        NINE.split(),
        [token.split("/")[0] for token in NINE_TOKENS],
        "Anger Disgust Fear Happiness Neutral Others".split()
        + ["Sadness", "Surprise", "unk"],
        [f"{token} " for token in NINE_TOKENS],
    ],
)
def test_nine_stable_ids_whatever_the_spelling(tokens):
    assert [label.id for label in read_labels(tokens)] == NINE.split()


def test_unused_outputs():
    labels = read_labels(["生气/angry", "unuse_厌恶/disgusted", "unuse_1"])
    assert [label.used for label in labels] == [True, False, False]
    assert [label.id for label in labels] == ["angry", "unuse_1", "unuse_2"]


def test_labels_of_ones_own():
    labels = read_labels(["热情/Very enthusiastic", "平静"])
    assert [label.id for label in labels] == ["very_enthusiastic", "平静"]


def test_double_labels():
    with pytest.raises(ValueError, match=r"several lines for \['angry'\]"):
        read_labels(["生气/angry", "anger"])


def test_files(tmp_path):
    text = "\ufeff" + "\r\n".join(NINE_TOKENS) + "\r\n"
    (tmp_path / "tokens.txt").write_text(text, "utf-8", newline="")
    assert read_tokens(tmp_path / "tokens.txt") == read_labels(NINE_TOKENS)
    (tmp_path / "tokens.json").write_text('["a", "b"]', "utf-8")
    assert [label.id for label in read_tokens(tmp_path / "tokens.json")] == [
        "a",
        "b",
    ]


def test_tokens_that_cannot_be_read(tmp_path):
    path = tmp_path / "tokens.txt"
    for content, named in (
        ("colère\n".encode("latin-1"), "utf-8"),
        (b"\x1b[2Jangry\n", "cannot be shown"),
        (b"a" * 2_000_000, "more than"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=named) as error:
            read_tokens(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    (tmp_path / "tokens.json").write_text('{"a": 1}')
    with pytest.raises(ValueError, match=r"tokens\.json: expected `array`"):
        read_tokens(tmp_path / "tokens.json")
