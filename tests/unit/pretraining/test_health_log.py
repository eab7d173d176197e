"""The log stays consistent with the checkpoints; the plot shows it."""

import json
import math

import pytest

from speechbrain_e2v.pretraining.health import CollapseThresholds
from speechbrain_e2v.pretraining.health_log import (
    HealthLog,
    health_figure,
    plot_health,
    read_health,
)


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


def test_validation_stands_in_the_line_of_its_update_once(log):
    for _ in range(2):
        log.add(30, {"valid_loss": 0.5})
    log.add(35, {"valid_loss": math.nan})
    lines = read_health(log.path)
    assert [line["update"] for line in lines] == [10, 20, 30, 35]
    assert lines[2] == {
        "update": 30,
        "loss": 1 / 30,
        "skipped_files": 0,
        "valid_loss": 0.5,
    }
    assert lines[3] == {"update": 35, "valid_loss": None}


@pytest.mark.parametrize("text", ["[1]", "7", '{"loss": 1}', '{"update": "a"}'])
def test_lines_of_another_shape_are_named(log, text):
    with open(log.path, "a", encoding="utf-8") as file:
        file.write(text + "\n")
    with pytest.raises(ValueError, match="line 4 is no JSON with an update"):
        read_health(log.path)


def lines_of_a_run(utterance_weight=1.0, valid=True):
    lines = []
    for update in range(10, 130, 10):
        frame, utterance = 2 / update, utterance_weight * 0.5
        line = {
            "update": update,
            "loss": frame + utterance,
            "loss_frame": frame,
            "loss_utterance": utterance,
            "lr": 1e-4 * update,
            "tau": 0.999,
            "grad_norm": 0.1,
            "teacher_distance": 0.01,
            "spread_utterance_target": 0.0,
            "speech_hours_per_hour": 10.0,
        }
        for kind in ("conv", "encoder", "prediction", "target"):
            line |= {f"std_{kind}": 0.5, f"rank_{kind}": 30.0 + update}
        if valid and update % 40 == 0:
            line |= {"valid_loss": 1.0, "valid_rank_target": 20.0}
        lines.append(line)
    return lines


def labels(axes):
    return [line.get_label() for line in axes.get_lines()]


def test_the_total_is_drawn_where_it_differs_from_the_frame_loss():
    same = health_figure(lines_of_a_run(utterance_weight=0.0), "x")
    assert labels(same.axes[0])[0] == "frame"
    assert "total" not in labels(same.axes[0])
    other = health_figure(lines_of_a_run(), "x")
    assert "total" in labels(other.axes[0])


def test_thresholds_and_validation_are_drawn():
    figure = health_figure(lines_of_a_run(), "run/7", CollapseThresholds())
    spread, rank = figure.axes[3], figure.axes[4]
    drawn = {line.get_label(): line for line in rank.get_lines()}
    assert list(drawn["target, validation"].get_xdata()) == [40, 80, 120]
    for panel, limits in ((spread, [0.01, 0.01, 0.1]), (rank, [2, 2])):
        colours = {
            line.get_color(): line.get_ydata()[0]
            for line in panel.get_lines()
            if line.get_linestyle() == ":"
        }
        assert sorted(colours.values()) == limits
        curves = {
            line.get_color()
            for line in panel.get_lines()
            if line.get_linestyle() == "-"
        }
        assert set(colours) <= curves  # each in the colour of its curve
    assert figure.get_suptitle() == "run/7: 120 updates"


def test_no_legend_covers_a_curve():
    figure = health_figure(lines_of_a_run(), "x", CollapseThresholds())
    figure.canvas.draw()
    legends = 0
    for axes in figure.axes:
        legend = axes.get_legend()
        if legend is not None:
            legends += 1
            inside = legend.get_window_extent()
            for other in figure.axes:
                area = other.get_window_extent()
                # A point of slack for the frame of the panel.
                assert inside.y0 > area.y1 - 1 or inside.y1 < area.y0 + 1
    assert legends >= 3


def test_the_title_names_the_run_not_the_seed(log, tmp_path):
    folder = tmp_path / "pretrain_tiny" / "1"
    inner = HealthLog(folder / "health.jsonl")
    inner.append(5, {"loss": 1.0})
    titles = []
    from matplotlib.figure import Figure

    suptitle = Figure.suptitle
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Figure,
            "suptitle",
            lambda self, text: titles.append(text) or suptitle(self, text),
        )
        plot_health(inner.path, folder / "health.png")
    assert titles == ["pretrain_tiny/1: 5 updates"]
