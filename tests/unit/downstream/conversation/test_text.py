"""Text units learned from training transcripts, and BERT's vectors."""

import sys
import types

import numpy as np
import pytest
import sentencepiece
import torch

from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.conversation.text import (
    BertVectors,
    TextPieces,
    count_pieces,
    encode_pieces,
    fit_pieces,
    transcripts_of,
)

TEXTS = ["oh my god", "what a day", "what did you say", "", "my day"] * 6


def said(*texts):
    return [
        Utterance(f"u{i}", f"u{i}.wav", dialog="d", text=text)
        for i, text in enumerate(texts)
    ]


def test_pieces_are_those_of_sentencepiece():
    model = fit_pieces(TEXTS, 40)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    unseen = [*TEXTS[:5], "zebra god"]
    pieces = encode_pieces(model, unseen)
    assert count_pieces(model) == processor.get_piece_size() <= 40
    for row, text in zip(pieces, unseen, strict=True):
        units = processor.encode(text)
        assert row[: len(units)].tolist() == [u + 1 for u in units]
        assert not row[len(units) :].any()
    assert not pieces[3].any()
    assert pieces.max() <= count_pieces(model)


def test_pieces_are_learned_again_the_same():
    assert fit_pieces(TEXTS, 40) == fit_pieces(list(TEXTS), 40)


def test_few_transcripts_give_few_units():
    assert count_pieces(fit_pieces(["a b", "b a"] * 3, 1000)) < 20
    with pytest.raises(ValueError, match="no training utterance has"):
        fit_pieces(["", ""], 10)
    with pytest.raises(ValueError, match="no 2 units can be learned from"):
        fit_pieces(TEXTS, 2)


def test_transcripts(caplog):
    assert transcripts_of(said(" a\n b ", None)) == ["a b", ""]
    assert "1 of 2 utterances have no transcript" in caplog.text
    assert "u1 of dialogue d" in caplog.text
    with pytest.raises(ValueError, match="none of the 2 .* u0 of dialogue d"):
        transcripts_of(said(None, " "))


def test_sizes_and_texts_change_the_digest():
    rows = said("a", "b")
    digests = {
        TextPieces(10, 4).load(rows, None, "cpu").digest,
        TextPieces(11, 4).load(rows, None, "cpu").digest,
        TextPieces(10, 4).load(said("a", "c"), None, "cpu").digest,
    }
    assert len(digests) == 3


class _Inputs(dict):
    def to(self, device):
        return self


class _Tokenizer:
    """A token a letter; a token's number is its letter."""

    def __call__(self, texts, max_length, **options):
        assert options == {
            "padding": True, "truncation": True, "return_tensors": "pt"
        }  # fmt: skip
        lists = [[1, *map(ord, text), 2][:max_length] for text in texts]
        longest = max(map(len, lists))
        filled = [row + [0] * (longest - len(row)) for row in lists]
        ids = torch.tensor(filled)
        return _Inputs(input_ids=ids, attention_mask=(ids > 0).long())


class _Model(torch.nn.Module):
    calls = 0

    def forward(self, input_ids, attention_mask, output_hidden_states):
        type(self).calls += 1
        states = torch.stack([input_ids.float(), input_ids.float() ** 2], -1)
        states = states.masked_fill(input_ids[..., None] == 0, float(10**6))
        return types.SimpleNamespace(
            hidden_states=(states + 5, states, states - 5)
        )


@pytest.fixture
def transformers(monkeypatch):
    def loader(found):
        return types.SimpleNamespace(from_pretrained=lambda name: found)

    module = types.ModuleType("transformers")
    module.AutoTokenizer = loader(_Tokenizer())
    module.AutoModel = loader(_Model())
    monkeypatch.setitem(sys.modules, "transformers", module)
    monkeypatch.setattr(_Model, "calls", 0)
    return module


def test_bert_is_the_mean_over_tokens_of_a_layer(transformers, tmp_path):
    texts = ["hello", "a", "", "x" * 40]
    loaded = BertVectors(max_tokens=8).load(said(*texts), tmp_path, "cpu")
    for row, text in zip(loaded.values, texts, strict=True):
        tokens = np.array([1, *map(ord, text), 2][:8], np.float32)
        expected = [tokens.mean(), (tokens**2).mean()]
        np.testing.assert_allclose(row, expected, rtol=1e-5)
    other = BertVectors(layer=-1, max_tokens=8)
    lower = other.load(said(*texts), tmp_path, "cpu").values
    np.testing.assert_allclose(lower, loaded.values - 5, rtol=1e-5)


def test_bert_is_asked_once(transformers, tmp_path):
    source, rows = BertVectors(), said("hello", "a")
    first = source.load(rows, tmp_path, "cpu")
    second = source.load(rows[::-1], tmp_path, "cpu")
    assert _Model.calls == 1
    np.testing.assert_array_equal(second.values, first.values[::-1])
    source.load(said("hello", "b"), tmp_path, "cpu")
    assert _Model.calls == 2


def test_bert_cannot_be_had(transformers, monkeypatch, tmp_path):
    def missing(name):
        raise OSError("offline")

    transformers.AutoTokenizer.from_pretrained = missing
    with pytest.raises(ValueError, match="cannot load bert-x: offline"):
        BertVectors("bert-x").load(said("a"), tmp_path, "cpu")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="pip install transformers.*pieces"):
        BertVectors().load(said("a"), tmp_path, "cpu")
    assert not list(tmp_path.iterdir()), "nothing half-written is left"
