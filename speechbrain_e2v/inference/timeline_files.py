"""A timeline as JSON, CSV, RTTM, SRT and Praat TextGrid."""

import csv
import io
import json
from pathlib import Path

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.foreign_text import csv_cell, printable
from speechbrain_e2v.inference.timeline import Timeline
from speechbrain_e2v.inference.timeline_plot import plot_timeline


def write_timeline(timeline: Timeline, path: str | Path) -> Path:
    """Write one file of `KINDS`; the suffix says which."""
    path = Path(path)
    if path.suffix not in KINDS:
        raise ValueError(
            f"{path}: there is no such format; use {', '.join(KINDS)}, or a "
            "folder for all of them."
        )
    if path.suffix == ".png":
        return plot_timeline(timeline, path)
    return replace_text(path, _TEXTS[path.suffix](timeline))


def json_text(timeline: Timeline) -> str:
    """Segments, and loudness and posteriors of every cell."""
    return json.dumps(timeline.description(), indent=1, allow_nan=False) + "\n"


def csv_text(timeline: Timeline) -> str:
    """One row a segment: start, end, label, confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start", "end", "label", "confidence"])
    for s in timeline.segments:
        confidence = "" if s.confidence is None else f"{s.confidence:.4f}"
        times = f"{s.start:.3f}", f"{s.end:.3f}"
        writer.writerow([*times, csv_cell(s.label), confidence])
    return text.getvalue()


def rttm_text(timeline: Timeline) -> str:
    """NIST's rich transcription format, silence left out."""
    name = _field(Path(timeline.source).stem)
    lines = []
    for s in timeline.segments:
        if s.confidence is not None:
            # Of rounded times: what ends together ends together.
            start, end = round(1000 * s.start), round(1000 * s.end)
            lines.append(
                f"SPEAKER {name} 1 {start / 1000:.3f} "
                f"{(end - start) / 1000:.3f} <NA> <NA> {_field(s.label)} "
                f"{s.confidence:.4f} <NA>\n"
            )
    return "".join(lines)


def _field(text: str) -> str:
    """Text without blanks, which separate fields."""
    return printable("_".join(text.split())) or "_"


def srt_text(timeline: Timeline) -> str:
    """Subtitles, silence left out."""
    spoken = [
        f"{_clock(s.start)} --> {_clock(s.end)}\n"
        f"{_caption(s.label)} ({100 * s.confidence:.0f} %)\n"
        for s in timeline.segments
        if s.confidence is not None
    ]
    return "\n".join(f"{n}\n{text}" for n, text in enumerate(spoken, 1))


def _caption(text: str) -> str:
    """One line that players take neither for a cue nor for markup."""
    for mark, other in (("<", "‹"), (">", "›"), ("{", "("), ("}", ")")):
        text = text.replace(mark, other)
    return printable(" ".join(text.split()))


def textgrid_text(timeline: Timeline) -> str:
    """Praat's text format: one interval tier with every segment."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {timeline.seconds:.6f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "emotion"',
        "        xmin = 0",
        f"        xmax = {timeline.seconds:.6f}",
        f"        intervals: size = {len(timeline.segments)}",
    ]
    for number, s in enumerate(timeline.segments, 1):
        quoted = printable(s.label).replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {s.start:.6f}",
            f"            xmax = {s.end:.6f}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


def _clock(seconds: float) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    minutes, whole = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{whole:02d},{milliseconds:03d}"


_TEXTS = {
    ".json": json_text,
    ".csv": csv_text,
    ".rttm": rttm_text,
    ".srt": srt_text,
    ".TextGrid": textgrid_text,
}
KINDS = (".png", *_TEXTS)
"""Suffixes that `write_timeline` knows."""
