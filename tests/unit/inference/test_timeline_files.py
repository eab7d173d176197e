"""Every format, read back by a reader of its own."""

import csv
import io
import json
import re

import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from speechbrain_e2v.inference.timeline import Segment, Timeline
from speechbrain_e2v.inference.timeline_files import KINDS, write_timeline
from speechbrain_e2v.inference.timeline_plot import legible

SEGMENTS = [
    Segment(0.0, 1.5, 'low "mood"', 0.75),
    Segment(1.5, 2.0, "silence", None),
    Segment(2.0, 3725.25, "happy", 0.9),
]


@pytest.fixture
def timeline():
    posteriors = np.array([[0.75, 0.25]] * 3 + [[np.nan] * 2, [0.1, 0.9]])
    return Timeline(
        "/data/my talk.wav", 3725.25, 0.5, 1.5, ('low "mood"', "happy"),
        posteriors, np.full(5, -30.0), SEGMENTS, np.array([[-0.5, 0.5]] * 9),
    )  # fmt: skip


def written(timeline, folder, suffix):
    return write_timeline(timeline, folder / f"deep/x{suffix}").read_text()


def test_json(timeline, tmp_path):
    content = json.loads(written(timeline, tmp_path, ".json"))
    assert content["file"] == "my talk.wav"
    assert content["segments"][1]["confidence"] is None
    assert content["cells"][3]["posteriors"] is None
    assert content["cells"][4] == {
        "start": 2.0, "end": 2.5, "loudness_db": -30.0,
        "posteriors": [0.1, 0.9],
    }  # fmt: skip


def test_csv(timeline, tmp_path):
    lines = written(timeline, tmp_path, ".csv").splitlines()
    rows = list(csv.DictReader(lines))
    assert [row["label"] for row in rows] == [s.label for s in SEGMENTS]
    assert float(rows[2]["end"]) == 3725.25 and rows[1]["confidence"] == ""


def test_rttm_has_ten_fields_and_no_silence(timeline, tmp_path):
    lines = written(timeline, tmp_path, ".rttm").splitlines()
    fields = [line.split() for line in lines]
    assert all(len(row) == 10 for row in fields)
    assert fields[1][:5] == ["SPEAKER", "my_talk", "1", "2.000", "3723.250"]
    assert fields[1][7:9] == ["happy", "0.9000"]


def test_srt(timeline, tmp_path):
    blocks = written(timeline, tmp_path, ".srt").strip().split("\n\n")
    assert [block.splitlines() for block in blocks] == [
        ["1", "00:00:00,000 --> 00:00:01,500", 'low "mood" (75 %)'],
        ["2", "00:00:02,000 --> 01:02:05,250", "happy (90 %)"],
    ]


def test_textgrid(timeline, tmp_path):
    text = written(timeline, tmp_path, ".TextGrid")
    intervals = re.findall(
        r"intervals \[\d+\]:\s+xmin = (\S+)\s+xmax = (\S+)\s+"
        r'text = "((?:[^"]|"")*)"',
        text,
    )
    found = [
        (float(a), float(b), c.replace('""', '"')) for a, b, c in intervals
    ]
    assert found == [(s.start, s.end, s.label) for s in SEGMENTS]
    assert f"intervals: size = {len(SEGMENTS)}" in text
    assert text.startswith('File type = "ooTextFile"\nObject class')


HOSTILE = [
    "a\n\n2\n00:00:00,000 --> 00:00:09,000\nb", "<b>a</b>", "{\\an8}a",
    'a"\n        intervals [9]:', "=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-1",
    "a\x1b[2Jb", "a\u2028b", "a b\tc", "$\\frac{$", "_a", "a\u202eb",
]  # fmt: skip


@pytest.mark.parametrize("label", HOSTILE)
def test_no_label_breaks_a_format(timeline, tmp_path, label):
    timeline.classes = (label, "happy")
    timeline.source = f"/data/{label.replace('/', '')}.wav"
    timeline.segments = [
        Segment(0.0, 1.5, label, 0.75),
        Segment(1.5, 3725.25, "happy", 0.9),
    ]
    cues = written(timeline, tmp_path, ".srt").strip().split("\n\n")
    assert [cue.splitlines()[0] for cue in cues] == ["1", "2"]
    assert all(len(cue.splitlines()) == 3 for cue in cues)
    assert not set("<>{}\x1b") & set(cues[0].splitlines()[2])
    rows = list(csv.reader(io.StringIO(written(timeline, tmp_path, ".csv"))))
    assert len(rows) == 3 and rows[1][2][0] not in "=+-@"
    rttm = written(timeline, tmp_path, ".rttm").splitlines()
    assert [len(line.split()) for line in rttm] == [10, 10]
    grid = written(timeline, tmp_path, ".TextGrid")
    assert len(re.findall(r"^ +intervals \[\d+\]:$", grid, re.M)) == 2
    found = json.loads(written(timeline, tmp_path, ".json"))
    assert found["segments"][0]["label"] == label
    for suffix in (".srt", ".csv", ".rttm", ".TextGrid", ".json"):
        text = (tmp_path / f"deep/x{suffix}").read_text("utf-8")
        assert not {"\x1b", "\u2028", "\u202e"} & set(text)
    write_timeline(timeline, tmp_path / "x.png")


@pytest.mark.parametrize("hop", [1 / 30, 1.0])
def test_a_picture_has_bounded_parts(tmp_path, hop, monkeypatch):
    """However many segments there are, the picture has as many shapes."""
    seconds = 3600.0
    edges = np.arange(0, seconds + hop / 2, hop)
    names = ["sad", "happy", "silence"]
    segments = [
        Segment(start, end, names[i % 3], None if i % 3 == 2 else 0.8)
        for i, (start, end) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    drawn = legible(segments, seconds)
    assert len(drawn) <= 400 < len(segments)
    assert drawn[0].start == 0 and drawn[-1].end == pytest.approx(seconds)
    posteriors = np.tile([[0.8, 0.2], [0.1, 0.9]], (len(segments) // 2, 1))
    timeline = Timeline(
        "a.wav", seconds, hop, 3.0, ("sad", "happy"), posteriors,
        np.full(len(posteriors), -20.0), segments,
        np.tile([[-0.1, 0.1]], (round(20 * seconds), 1)),
    )  # fmt: skip
    figures = []
    saved = Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *a, **k: (
            figures.append(figure) or saved(figure, *a, **k)
        ),
    )
    write_timeline(timeline, tmp_path / "x.png")
    # 108,000 segments took minutes when each was a shape of its own.
    shapes = figures[0].findobj()
    assert len(shapes) < 1500
    vertices = sum(
        len(path.vertices)
        for shape in shapes
        if isinstance(shape, Collection)
        for path in shape.get_paths()
    )
    assert vertices < 20000


def test_png(timeline, tmp_path):
    path = write_timeline(timeline, tmp_path / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_unknown_formats_are_named(timeline, tmp_path):
    with pytest.raises(ValueError, match=r"x\.mp4: there is no such format"):
        write_timeline(timeline, tmp_path / "x.mp4")
    assert ".TextGrid" in KINDS
