"""The generated corpus as a folder of wav files and ``labels.csv``."""

from pathlib import Path

import numpy as np
from scipy.io import wavfile

from speechbrain_e2v.console import progress_bar
from speechbrain_e2v.corpora.synthetic.prosody import (
    EMOTIONS,
    draw_manner,
    draw_speaker,
)
from speechbrain_e2v.corpora.synthetic.utterance import compose_sentence, speak
from speechbrain_e2v.corpora.synthetic.voice import SAMPLE_RATE
from speechbrain_e2v.files.atomic import replace_text, replaced_file

COLUMNS = ("path", "label", "speaker", "gender", "sentence")
SENTENCES = 10


def check_request(
    speakers: int, utterances_per_speaker: int, seconds: tuple[float, float]
) -> None:
    """Raises ValueError where a corpus cannot be made as asked for."""
    if not 1 <= speakers <= 100:
        raise ValueError(f"speakers is {speakers}; ask for 1 to 100.")
    if utterances_per_speaker < 1:
        raise ValueError(
            f"utterances_per_speaker is {utterances_per_speaker}; ask for "
            f"at least 1, and for {len(EMOTIONS)} to hear every emotion."
        )
    shortest, longest = seconds
    if not 0.5 <= shortest <= longest <= 30.0:
        raise ValueError(
            f"seconds is ({shortest}, {longest}); ask for a shortest and a "
            "longest utterance between 0.5 and 30."
        )


def write_corpus(
    folder: str | Path,
    speakers: int = 8,
    utterances_per_speaker: int = 36,
    seconds: tuple[float, float] = (1.2, 3.0),
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Writes ``wav/<speaker>_<sentence>_<emotion>_<take>.wav`` and labels.

    Every speaker says every sentence in every emotion, as long as the
    utterances last: all emotions of sentence 0 first, then of sentence 1;
    after 60 utterances a second take begins. An utterance depends on its own
    name, ``seconds`` and ``seed`` alone, so a larger corpus contains the
    smaller one. Nothing here is split into train and test. ``labels.csv`` is
    written last: where it is, the corpus is complete. Even speakers are women.

    Raises ValueError for numbers which make no corpus.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     labels = write_corpus(folder, 1, 2, seconds=(0.5, 0.6))
    ...     print(labels.read_text().splitlines()[1])
    wav/s00_a00_angry_0.wav,angry,s00,F,a00
    """
    check_request(speakers, utterances_per_speaker, seconds)
    folder = Path(folder)
    (folder / "wav").mkdir(parents=True, exist_ok=True)
    labels = folder / "labels.csv"
    labels.unlink(missing_ok=True)
    sentences = [
        compose_sentence(index, seconds, seed) for index in range(SENTENCES)
    ]
    rows = []
    wanted = [
        (speaker, number)
        for speaker in (draw_speaker(i, seed) for i in range(speakers))
        for number in range(utterances_per_speaker)
    ]
    for speaker, number in progress_bar(
        wanted, desc="generating", unit="utterance", disable=not progress
    ):
        spoken, emotion = divmod(number, len(EMOTIONS))
        take, sentence = divmod(spoken, SENTENCES)
        generator = np.random.default_rng(
            [seed, 3, int(speaker.name[1:]), sentence, emotion, take]
        )
        label = EMOTIONS[emotion]
        manner = draw_manner(label, speaker, generator)
        waveform = speak(
            sentences[sentence], speaker, manner, seconds, generator
        )
        path = f"wav/{speaker.name}_a{sentence:02d}_{label}_{take}.wav"
        write_wav(folder / path, waveform)
        rows.append(
            (path, label, speaker.name, speaker.gender, f"a{sentence:02d}")
        )
    lines = [",".join(row) + "\n" for row in (COLUMNS, *rows)]
    return replace_text(labels, "".join(lines))


def write_wav(path: Path, waveform: np.ndarray) -> None:
    """Writes [S] within [-1, 1] as 16-bit PCM, 16,000 Hz, in one move."""
    pcm = np.round(waveform * 32767).astype(np.int16)
    with replaced_file(path) as unfinished:
        wavfile.write(unfinished, SAMPLE_RATE, pcm)
