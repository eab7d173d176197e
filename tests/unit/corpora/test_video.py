"""Extraction by ffmpeg, tried with a script of that name on PATH."""

import json
import os
import stat
import sys

import pytest
import soundfile

from speechbrain_e2v.corpora.video import extract_folder, main

# Writes a wav as long as the source says, and notes how it was called. A
# source with "bad" fails, one with "silent" has no sound.
FFMPEG = """#!{python}
import json, sys, wave
from pathlib import Path
with open({log!r}, "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
source = Path(sys.argv[sys.argv.index("-i") + 1])
content = source.read_text()
if "half" in content:
    Path(sys.argv[-1]).write_bytes(b"RIFF" + bytes(100))
if "bad" in content or "half" in content:
    sys.exit(f"{{source.name}}: Invalid data found")
with wave.open(sys.argv[-1], "wb") as out:
    out.setnchannels(1); out.setsampwidth(2); out.setframerate(16000)
    out.writeframes(bytes(0 if "silent" in content else 3200))
"""
FFPROBE = """#!{python}
import sys
print("6," if "surround" in open(sys.argv[-1]).read() else "2")
"""


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Commands that the fake ffmpeg has received so far."""
    log = tmp_path / "log"
    for name, text in (("ffmpeg", FFMPEG), ("ffprobe", FFPROBE)):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(python=sys.executable, log=str(log)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def read():
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    return read


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / "MELD.Raw"
    for name, text in (
        ("train/dia0_utt0.mp4", "surround"),
        ("train/dia0 utt1.mp4", "stereo"),
        ("train/._dia0_utt0.mp4", "from a Mac"),
        ("test/dia0_utt0.mp4", "stereo"),
        ("test_sent_emo.csv", "a,b"),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def extract(folder, *more, **options):
    return extract_folder(folder, "*.mp4", *more, progress=False, **options)


def counts(report):
    return report["written"], report["up_to_date"], len(report["failures"])


def wavs(folder):
    return sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*.wav")
    )


def test_beside_the_sources(calls, videos):
    assert counts(extract(videos)) == (3, 0, 0)
    assert wavs(videos) == [
        "test/dia0_utt0.wav",
        "train/dia0 utt1.wav",
        "train/dia0_utt0.wav",
    ]
    info = soundfile.info(videos / "train/dia0 utt1.wav")
    assert (info.samplerate, info.channels, info.frames) == (16000, 1, 1600)
    for call in calls():
        start = call.index("-i") + 2
        assert call[: start - 1] == ["-nostdin", "-v", "error", "-y", "-i"]
        assert call[start:-1] == (
            "-vn -ac 1 -ar 16000 -c:a pcm_s16le -f wav".split()
        )


def test_second_run_does_nothing_and_a_newer_source_is_redone(calls, videos):
    extract(videos)
    assert counts(extract(videos)) == (0, 3, 0)
    assert len(calls()) == 3
    newer = videos / "test/dia0_utt0.mp4"
    later = newer.stat().st_mtime + 60
    os.utime(newer, (later, later))
    (videos / "train/dia0_utt0.wav").write_bytes(b"")  # half copied
    assert counts(extract(videos)) == (2, 1, 0)


def test_failures_are_listed_and_leave_nothing(calls, videos):
    for name, text in (("bad", "bad"), ("half", "half"), ("mute", "silent")):
        (videos / f"train/{name}.mp4").write_text(text)
    report = extract(videos)
    assert report["failures"] == {
        "train/bad.mp4": "bad.mp4: Invalid data found",
        "train/half.mp4": "half.mp4: Invalid data found",
        "train/mute.mp4": "ffmpeg found no sound in it",
    }
    assert len(wavs(videos)) == 3
    assert not list(videos.rglob("*.part"))
    written = json.loads((videos / "extraction.json").read_text())
    assert written == report
    (videos / "train/bad.mp4").write_text("good now")
    assert counts(extract(videos)) == (1, 3, 2)


def test_a_failed_file_keeps_its_old_wav(calls, videos):
    extract(videos)
    source, target = (videos / f"test/dia0_utt0.{s}" for s in ("mp4", "wav"))
    before = target.read_bytes()
    source.write_text("half")
    later = target.stat().st_mtime + 60
    os.utime(source, (later, later))
    assert counts(extract(videos)) == (0, 2, 1)
    assert target.read_bytes() == before


def test_another_folder_with_tables(calls, videos, tmp_path):
    out = tmp_path / "wav"
    extract(videos, out, copied=["*_sent_emo.csv"])
    assert len(wavs(out)) == 3 and not wavs(videos)
    assert (out / "test_sent_emo.csv").read_text() == "a,b"


def test_center(calls, videos):
    extract(videos, channel="center")
    filters = {
        call[call.index("-i") + 1].rsplit("/", 2)[-2:][1]: call[
            call.index("-af") + 1
        ]
        for call in calls()
        if "/train/" in call[call.index("-i") + 1]
    }
    assert filters == {
        "dia0_utt0.mp4": "pan=mono|c0=FC",
        "dia0 utt1.mp4": "pan=mono|c0=c0",
    }
    assert all("-ac" not in call for call in calls())


def test_two_channels_are_not_mixed_in_one_folder(calls, videos):
    extract(videos)
    with pytest.raises(ValueError, match="channel 'downmix', not 'center'"):
        extract(videos, channel="center")


@pytest.mark.parametrize("channel", ["downmix", "center"])
def test_no_ffmpeg(videos, tmp_path, monkeypatch, channel):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="ffmpeg.*not found on PATH.*apt-get"):
        extract(videos, channel=channel)
    assert not (videos / "extraction.json").exists()


def test_command_line(calls, videos, capsys):
    main(["--data_folder", str(videos), "--pattern", "*.mp4"])
    assert "3 written, 0 up to date, 0 failed" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--data_folder", str(videos), "--pattern", "*.mkv"])
    assert "no *.mkv below it" in capsys.readouterr().err
    with pytest.raises(ValueError, match="one of .'downmix', 'center'"):
        extract(videos, channel="left")
