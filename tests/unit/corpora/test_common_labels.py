"""The shipped table has every class; faults of a user's own are named."""

import pytest

from speechbrain_e2v.corpora.common_labels import read_common_labels
from speechbrain_e2v.files.documents import BadDocument
from speechbrain_e2v.published.head import NINE_TOKENS, read_labels
from speechbrain_e2v.report.find_corpora import RECIPES, load_corpus

CORPORA = {"A": ["joy", "calm"], "B": ["boredom"]}
MODEL = {"开心": ["happy"], "other": []}


def own(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, "utf-8")
    return read_common_labels(path)


@pytest.mark.parametrize(
    "recipe",
    sorted(p.parent for p in RECIPES.glob("*/*_prepare.py")),
    ids=lambda path: path.name,
)
def test_every_class_of_every_recipe_has_an_id_of_its_own(recipe):
    corpus = load_corpus(recipe)
    ids = read_common_labels().of_corpus(corpus.name, corpus.classes)
    assert None not in ids.values()
    assert len(set(ids.values())) == len(corpus.classes)


def test_the_published_classes_have_their_stable_ids():
    classes = {
        label.published: [label.id] for label in read_labels(NINE_TOKENS)
    }
    found = read_common_labels().of_model(classes)
    assert list(found.values()) == [x.id for x in read_labels(NINE_TOKENS)]


def test_a_table_of_ones_own_goes_first(tmp_path):
    labels = own(
        tmp_path,
        "labels: {calm: neutral}\nmodel: {other: bored}\n"
        "corpora: {A: {Joy: null}, B: {calm: serene}}\n",
    )
    assert labels.of_corpus("A", ["joy", "calm"]) == {
        "joy": None,
        "calm": "neutral",
    }
    assert labels.of_corpus("B", ["calm", "JOY "]) == {
        "calm": "serene",
        "JOY ": "happy",
    }
    assert labels.of_model(MODEL) == {"开心": "happy", "other": "bored"}
    labels.require_used({"A": ["Joy"], "B": ["calm"]}, MODEL)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("label: {a: b}", "unknown field `label`"),
        ("labels: {a: 3}", r"labels\[...\]: expected `str \| null`"),
        ("labels: [a]", "labels: expected `object`"),
        ("labels: {a: b, A: c}", "'A' and 'a' are one name"),
        ("labels: {a: x=y}", "has the character '='"),
        ("labels: {a: ''}", "is empty"),
        ("labels: {a: b, a: c}", "'a' is there twice"),
        ("{", "expected"),
    ],
)
def test_faults_of_a_table_are_told(tmp_path, text, problem):
    with pytest.raises(BadDocument, match=problem) as raised:
        own(tmp_path, text)
    assert str(tmp_path / "mine.yaml") in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("labels: {angst: fearful}", "nothing here has class 'angst'"),
        ("corpora: {C: {joy: happy}}", "no 'C' is tested here, but A, B"),
        ("corpora: {A: {boredom: bored}}", "A has no class 'boredom'"),
        ("model: {joy: happy}", "the model has no class 'joy'"),
    ],
)
def test_names_that_nothing_has_are_refused(tmp_path, text, problem):
    labels = own(tmp_path, text)
    with pytest.raises(BadDocument, match=problem):
        labels.require_used(CORPORA, MODEL)
