"""One's own corpus: a table, any classes, pieces of files."""

import os

import pytest

from speechbrain_e2v.corpora.corpus import Corpus
from speechbrain_e2v.corpora.manifest import ManifestError, read_manifest
from speechbrain_e2v.corpora.prepare import completeness_caveats, prepare
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.corpora.utterance import Utterance
from speechbrain_e2v.downstream.run import downstream
from tests.recipes.fake_corpora import (
    RECIPES,
    make_text,
    make_wav,
    make_wavs,
    parsed,
    prepared,
    recipe,
)

CORPUS = recipe("Custom")
TABLE = """path,label,speaker,start,end,split
calls/0001.wav,wütend,anna,,,train
calls/0002.wav,"ruhig, {leise}",ben,0.25,0.75,dev
calls/0002.wav,wütend,ben,1.0,,test
x/😀.flac,wütend,cem,,0.5,TEST
"""


def corpus(folder):
    make_wavs(folder / "calls", ["0001", "0002"], seconds=2.0, rate=8000)
    make_wav(folder / "x/😀.flac", seconds=1.0)
    make_text(folder / "labels.csv", "\ufeff" + TABLE)
    return folder


def test_votes(tmp_path):
    make_wavs(tmp_path, ["a", "b"])
    make_text(
        tmp_path / "labels.csv",
        "path,label,votes\na.wav,sad,sad:2; angry:1\nb.wav,angry,\n",
    )
    found = parsed(CORPUS.bound_to(tmp_path), tmp_path)
    assert [u.votes for u in found.values()] == [{"angry": 1, "sad": 2}, {}]
    make_text(tmp_path / "labels.csv", "path,label,votes\na.wav,sad,2\n")
    with pytest.raises(ValueError, match="line 2: votes are '2'"):
        parsed(CORPUS, tmp_path)


def test_rows(tmp_path):
    folder = corpus(tmp_path / "c")
    bound = CORPUS.bound_to(folder)
    assert bound.classes == ("ruhig, {leise}", "wütend")
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert {
        u.id: (u.emo, u.spk, u.split, u.start, u.stop, u.duration)
        for u in utterances.values()
    } == {
        "calls__0001": ("wütend", "anna", "train", None, None, 2.0),
        "calls__0002@0.25-0.75": (
            "ruhig, {leise}",
            "ben",
            "valid",
            0.25,
            0.75,
            0.5,
        ),
        "calls__0002@1.0-end": ("wütend", "ben", "test", 1.0, None, 1.0),
        "x__😀@0-0.5": ("wütend", "cem", "test", None, 0.5, 0.5),
    }


def test_two_columns_are_enough(tmp_path):
    folder = corpus(tmp_path)
    make_text(folder / "labels.csv", "label,path\na,calls/0001.wav\n")
    one = parsed(CORPUS, folder)["calls__0001"]
    assert (one.emo_raw, one.spk, one.split) == ("a", "", None)


def test_absolute_and_windows_paths(tmp_path):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        f"path,label\n{folder / 'calls/0001.wav'},a\ncalls\\0002.wav,b\n",
    )
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert sorted(os.path.basename(u.wav) for u in utterances.values()) == [
        "0001.wav",
        "0002.wav",
    ]


def test_classes_in_a_given_order(tmp_path):
    folder = corpus(tmp_path)
    make_text(folder / "classes.txt", "wütend\n\nneutral\nruhig, {leise}\n")
    assert CORPUS.bound_to(folder).classes == (
        "wütend",
        "neutral",
        "ruhig, {leise}",
    )
    make_text(folder / "classes.txt", "neutral\nruhig, {leise}\n")
    with pytest.raises(ValueError, match=r"\['wütend'\].*classes.txt"):
        CORPUS.bound_to(folder)
    make_text(folder / "classes.txt", "a\na\n")
    with pytest.raises(ValueError, match="twice"):
        CORPUS.bound_to(folder)


def test_order_of_rows_does_not_matter(tmp_path):
    folder = corpus(tmp_path)
    before = CORPUS.bound_to(folder).classes
    head, *rows = TABLE.strip().split("\n")
    make_text(folder / "labels.csv", "\n".join([head, *rows[::-1]]) + "\n")
    assert CORPUS.bound_to(folder).classes == before


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,emotion\na.wav,b\n", r"\['label'\] are missing"),
        ("path;label\na.wav;b\n", "missing.*path;label"),
        ("path,label,speakr\na.wav,b,c\n", r"unknown columns \['speakr'\]"),
        ("path,label\na.wav,\n", "line 2: no label"),
        ("path,label\n ,b\n", "line 2: no path"),
        ("path,label\na.wav,b,c\n", "line 2: not 2 fields"),
        ("path,label,label\na.wav,b,c\n", r"\['label'\] .* more than once"),
        ("path,label\na.wav,a => b\n", "line 2: .*'a => b' has '=>'"),
        ("path,label\na.wav,a\x1b[31mb\n", "line 2: .* control character"),
        ("path,label,gender\na.wav,b,x\n", "gender is 'x'; use F, M or"),
        ("path,label,split\na.wav,b,eval\n", "line 2: split is 'eval'"),
        ("path,label,start\na.wav,b,-1\n", "line 2: '-1' is not a time"),
        ("path,label,end\na.wav,b,nan\n", "line 2: 'nan' is not a time"),
        ("path,label,start\na.wav,b,x\n", "line 2: could not convert"),
        ("path,label,start,end\na.wav,b,2,1\n", "end is 1.0 s, start is 2.0"),
    ],
)
def test_bad_tables(table, message, tmp_path):
    make_text(tmp_path / "labels.csv", table)
    with pytest.raises(ValueError, match=message) as caught:
        parsed(CORPUS, tmp_path)
    assert "labels.csv" in str(caught.value)


def test_no_table(tmp_path):
    with pytest.raises(ValueError, match="no .*labels.csv.*path,label"):
        prepared(CORPUS, tmp_path, tmp_path / "out")


def test_same_row_twice(tmp_path):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        "path,label\ncalls/0001.wav,a\ncalls/0001.wav,b\n",
    )
    with pytest.raises(ManifestError, match="duplicate id 'calls__0001'"):
        prepared(CORPUS, folder, tmp_path / "out")


def test_a_table_anywhere_lists_audio_anywhere(tmp_path):
    folder = corpus(tmp_path / "read_only")
    (folder / "labels.csv").unlink()
    make_wav(tmp_path / "elsewhere" / "{b}.wav", seconds=1.0)
    make_wav(tmp_path / "beside" / "c.wav", seconds=1.0)
    table = tmp_path / "mine" / "table.csv"
    make_text(
        table,
        "path,label,session,gender,text,age,language,votes\n"
        "calls/0001.wav,a,s1,female,he said {yes},31,pl,a:2;b:1\n"
        f"{tmp_path}/elsewhere/{{b}}.wav,b,s2,M,,,,\n"
        "../beside/c.wav,a,,,,,,\n",
    )
    with pytest.raises(ValueError, match="--labels FILE"):
        prepared(CORPUS, folder, tmp_path / "out")
    asked = CORPUS.as_asked(labels=table)
    utterances, _ = prepared(asked, folder, tmp_path / "out")
    places = sorted(u.wav for u in utterances.values())
    assert places == sorted(
        str(path)
        for path in (
            folder / "calls/0001.wav",
            tmp_path / "elsewhere/{b}.wav",
            tmp_path / "beside/c.wav",
        )
    )
    first = utterances["calls__0001"]
    assert (first.session, first.gender) == ("s1", "F")
    assert first.text == "he said {yes}" and first.lang == "pl"
    assert (first.extra, first.votes) == ({"age": "31"}, {"a": 2, "b": 1})
    groups = {(u.session, u.gender) for u in utterances.values()}
    assert groups == {("s1", "F"), ("s2", "M"), (None, "unknown")}
    with pytest.raises(ValueError, match="labels: there is no file"):
        CORPUS.as_asked(labels=tmp_path / "none.csv")
    with pytest.raises(ValueError, match="EmoDB has its own labels"):
        recipe("EmoDB").as_asked(labels=table)


def test_session_folds_of_a_table(tmp_path):
    folder = corpus(tmp_path / "c")
    rows = [
        f"calls/0001.wav,{label},{start},{start + 0.4},s{session}"
        for session in range(3)
        for start, label in ((0.5 * session, "a"), (0.5 * session + 0.1, "b"))
    ]
    make_text(folder / "labels.csv",
              "\n".join(["path,label,start,end,session", *rows]))  # fmt: skip
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    folds = make_folds(
        "leave_one_session_out_next_validates", list(utterances.values()), 3, 1
    )
    assert [len(fold.test) for fold in folds] == [2, 2, 2]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("tr\u00e9s", "tre\u0301s"),  # composed and not
        ("sad", "sad\u200b"),
        ("sad", " sad\u00a0"),
        ("very sad", "very  sad"),
        ("sad", "\ufeffsad\u2060"),
    ],
)
def test_labels_that_look_the_same_are_the_same(tmp_path, first, second):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        f"path,label\ncalls/0001.wav,{first}\ncalls/0002.wav,{second}\n"
        "x/😀.flac,other\n",
    )
    assert len(CORPUS.bound_to(folder).classes) == 2
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert len({u.emo for u in utterances.values()}) == 2


def test_joiners_that_words_need_stay(tmp_path):
    folder = corpus(tmp_path / "c")
    persian = "\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645"
    make_text(folder / "labels.csv",
              f"path,label\ncalls/0001.wav,{persian}\n")  # fmt: skip
    assert CORPUS.bound_to(folder).classes == (persian,)


@pytest.mark.parametrize(
    "labels", [("Sad", "sad", "SAD"), ("very_sad", "very sad"), ("ﬁne", "fine")]
)
def test_labels_that_nearly_look_the_same_are_named(tmp_path, labels):
    folder = corpus(tmp_path)
    rows = "".join(
        f"calls/0001.wav,{label},{i},{i + 1}\n"
        for i, label in enumerate(labels)
    )
    make_text(folder / "labels.csv", "path,label,start,end\n" + rows)
    with pytest.raises(ValueError, match="look like one class") as caught:
        CORPUS.bound_to(folder)
    assert all(repr(label) in str(caught.value) for label in labels)
    # Who wants them apart says so.
    make_text(folder / "classes.txt", "\n".join(labels))
    assert len(CORPUS.bound_to(folder).classes) == len(labels)


def test_a_class_without_a_row_is_said(tmp_path, caplog):
    folder = corpus(tmp_path)
    make_text(folder / "classes.txt", "wütend\nneutral\nruhig, {leise}\n")
    CORPUS.bound_to(folder)
    assert "names neutral, which no row" in caplog.text


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [("0.5", "99", "to 99 s, the audio ends at 2 s"),
     ("5", "", "asked for 5.0 to None s"),
     ("", "2.2", "to 2.2 s, the audio ends at 2 s")],
)  # fmt: skip
def test_pieces_outside_of_their_audio_are_refused(tmp_path, start, end, shown):
    folder = corpus(tmp_path / "c")
    make_text(
        folder / "labels.csv",
        f"path,label,start,end\ncalls/0001.wav,a,{start},{end}\n"
        "calls/0002.wav,b,,\n",
    )
    with pytest.raises(ValueError, match="1 pieces lie outside") as caught:
        prepared(CORPUS, folder, tmp_path / "out")
    assert shown in str(caught.value)


def test_a_piece_may_end_with_a_rounded_time(tmp_path):
    folder = corpus(tmp_path / "c")
    make_text(folder / "labels.csv",
              "path,label,start,end\ncalls/0001.wav,a,0.5,2.01\n")  # fmt: skip
    utterances, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert [u.duration for u in utterances.values()] == [1.5]


def test_what_is_excluded_is_left_out_and_said(tmp_path):
    folder = corpus(tmp_path / "c")
    chosen = tmp_path / "exclude.txt"
    make_text(chosen, "# twice\n\ncalls__0001\nx/😀.flac  # too short\n")
    asked = CORPUS.as_asked(exclude=chosen)
    utterances, _ = prepared(asked, folder, tmp_path / "out")
    assert sorted(utterances) == [
        "calls__0002@0.25-0.75",
        "calls__0002@1.0-end",
    ]
    assert completeness_caveats(tmp_path / "out" / "all.json") == [
        "2 utterances are left out by choice"
    ]
    again, _ = prepared(CORPUS, folder, tmp_path / "out")
    assert len(again) == 4
    make_text(chosen, "calls__0009\n")
    with pytest.raises(ValueError, match="such as 'calls__0009'"):
        prepared(CORPUS.as_asked(exclude=chosen), folder, tmp_path / "out")


def test_a_complete_corpus_may_leave_out_what_is_doubled(tmp_path):
    folder = tmp_path / "c"
    make_wavs(folder, ["a1", "b1"])
    toy = Corpus(
        "Toy", "", ("x",), {"x": "x"}, {"utts": 2},
        parse=lambda f: [
            Utterance(n, f"{n}.wav", emo_raw="x") for n in ("a1", "b1")
        ],
    )  # fmt: skip
    make_text(tmp_path / "exclude.txt", "b1.wav\n")
    asked = toy.as_asked(exclude=tmp_path / "exclude.txt")
    manifest = prepare(asked, folder, tmp_path / "out", progress=False)
    assert [u.id for u in read_manifest(manifest)] == ["a1"]


def test_two_speakers_from_a_table_elsewhere_to_results(tmp_path):
    names = [f"{speaker}{n}" for speaker in "ab" for n in range(12)]
    make_wavs(tmp_path / "c", names, rate=24414)  # TESS's rate
    rows = [
        f"{n}.wav,{'xy'[int(n[1:]) % 2]},{n[0]},word {int(n[1:]) // 2}"
        for n in names
    ]
    make_text(tmp_path / "table.csv",
              "\n".join(["path,label,speaker,text", *rows]))  # fmt: skip
    make_text(tmp_path / "exclude.txt", "a0\n")
    results = downstream(
        CORPUS,
        [
            str(RECIPES.parent / "hparams" / "probes" / "mfcc.yaml"),
            *("--data_folder", str(tmp_path / "c")),
            *("--labels", str(tmp_path / "table.csv")),
            *("--exclude", str(tmp_path / "exclude.txt")),
            *("--output_folder", str(tmp_path / "out")),
            *("--feature_cache", str(tmp_path / "features")),
            *("--protocol", "leave_one_speaker_out_carved"),
            *("--n_folds", "5", "--device", "cpu"),
        ],
    )
    assert results["n_predictions"] == 23
    assert results["protocol"]["marks"] == [
        "1 utterances are left out by choice",
        "no test speaker occurs in training",
    ]
