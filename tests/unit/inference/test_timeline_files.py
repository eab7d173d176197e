"""Every format, read back by a reader of its own."""

import csv
import json
import re

import numpy as np
import pytest

from speechbrain_e2v.inference.timeline import Segment, Timeline
from speechbrain_e2v.inference.timeline_files import KINDS, write_timeline

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


def test_png(timeline, tmp_path):
    path = write_timeline(timeline, tmp_path / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"]


def test_unknown_formats_are_named(timeline, tmp_path):
    with pytest.raises(ValueError, match=r"x\.mp4: there is no such format"):
        write_timeline(timeline, tmp_path / "x.mp4")
    assert ".TextGrid" in KINDS
