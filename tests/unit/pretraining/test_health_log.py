"""The log stays consistent with the checkpoints; the plot shows it."""

import json
import math

import pytest

from speechbrain_e2v.pretraining.health_log import HealthLog, read_health
from speechbrain_e2v.pretraining.health_plot import plot_health


@pytest.fixture
def log(tmp_path):
    log = HealthLog(tmp_path / "run" / "health.jsonl")
    for update in (10, 20, 30):
        log.append(update, {"loss": 1 / update, "skipped_files": 0})
    return log


def test_resumption_drops_what_will_be_written_again(log):
    whole = log.path.read_bytes()
    log.resume(25)
    assert [line["update"] for line in read_health(log.path)] == [10, 20]
    log.append(30, {"loss": 1 / 30, "skipped_files": 0})
    assert log.path.read_bytes() == whole
    log.resume(0)
    assert read_health(log.path) == []
    assert [p.name for p in log.path.parent.iterdir()] == ["health.jsonl"]


def test_resuming_without_a_log(tmp_path):
    HealthLog(tmp_path / "none.jsonl").resume(5)
    assert list(tmp_path.iterdir()) == []


def test_a_line_cut_by_a_kill(log):
    whole = log.path.read_bytes()
    log.path.write_bytes(whole[:-7])
    log.resume(30)
    log.append(30, {"loss": 1 / 30, "skipped_files": 0})
    assert log.path.read_bytes() == whole


def test_a_damaged_line_is_named(log):
    lines = log.path.read_text().splitlines()
    log.path.write_text("\n".join([lines[0], "{oops", lines[2], ""]))
    with pytest.raises(ValueError, match="line 2.*oops"):
        read_health(log.path)


def test_numbers_json_does_not_know(log):
    log.append(40, {"loss": math.nan, "grad_norm": math.inf})
    last = log.path.read_text().splitlines()[-1]
    assert json.loads(last) == {"update": 40, "loss": None, "grad_norm": None}


def test_the_plot_replaces_itself_and_survives_gaps(log):
    log.append(40, {"loss": math.nan, "std_target": 0.0, "tau": 0.999})
    picture = log.path.with_suffix(".png")
    plot_health(log.path, picture)
    first = picture.read_bytes()
    log.append(50, {"loss": 0.5, "std_target": 0.4, "tau": 0.9999})
    plot_health(log.path, picture)
    assert picture.read_bytes() != first
    assert first.startswith(b"\x89PNG")
    assert sorted(p.name for p in picture.parent.iterdir()) == [
        "health.jsonl",
        "health.png",
    ]


def test_an_empty_log_is_no_picture(tmp_path):
    (tmp_path / "health.jsonl").touch()
    with pytest.raises(ValueError, match="no lines"):
        plot_health(tmp_path / "health.jsonl", tmp_path / "health.png")
