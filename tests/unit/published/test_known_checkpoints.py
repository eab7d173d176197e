"""What is known of published checkpoints."""

from speechbrain_e2v.published.known_checkpoints import (
    KNOWN,
    card_of,
    known_checkpoint,
)

BASE = {"embed_dim": 768, "num_extra_tokens": 10}


def test_emotion2vec_heard_the_five_corpora_of_the_paper():
    card = card_of(known_checkpoint(["emotion2vec_base"], BASE))
    heard = dict(card["pretraining"])
    assert heard.pop("LibriSpeech") == 960.0  # it began as data2vec 2.0
    assert set(heard) == {
        "IEMOCAP",
        "MELD",
        "CMU-MOSEI",
        "MEAD",
        "MSP-Podcast",
    }
    assert abs(sum(heard.values()) - 262.0) < 0.2  # paper, table 1
    assert card["finetuning"] == {}
    assert "keep the model's name" in card["licence_notice"]


def test_the_plus_models_were_tuned_on_emobox():
    for name in ("seed", "base", "large"):
        known = known_checkpoint([f"emotion2vec/emotion2vec_plus_{name}"])
        corpora = [c for c, hours in known.finetuning.items() if hours is None]
        assert len(corpora) == 32
        assert {"EmoDB", "IEMOCAP", "RAVDESS-Speech", "RESD"} <= set(corpora)


def test_names_count_only_whole_and_with_the_right_sizes():
    assert known_checkpoint(["base_libri"]).name == "data2vec2_base_libri"
    assert known_checkpoint(["emotion2vec_base_mine"]) is None
    small = BASE | {"embed_dim": 48}
    assert known_checkpoint(["emotion2vec_base"], small) is None
    assert known_checkpoint(["base_libri"], BASE) is None


def test_names_are_unique_and_every_card_has_licence_and_origin():
    names = [n for k in KNOWN for n in {k.name, k.hub_id, *k.aliases} if n]
    assert len(names) == len(set(names))
    for known in KNOWN:
        assert known.licence and known.licence_notice and known.pretraining
        assert "https://" in known.origin
