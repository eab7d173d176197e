#!/usr/bin/env python3
"""The generated corpus. Scores on it are NOT results on speech.

It is computed, so it has no licence and needs no download; README.md says how
to write it. Six emotions, as many speakers and utterances as were asked for,
hence no expected counts. What is known of an utterance stands in
``labels.csv``.

> python synthetic_prepare.py --data_folder DIR --manifest DIR/all.json
"""

import csv
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from speechbrain_e2v.corpora.prepare import Corpus, prepare_main
from speechbrain_e2v.corpora.synthetic.corpus import COLUMNS
from speechbrain_e2v.corpora.synthetic.prosody import EMOTIONS
from speechbrain_e2v.corpora.utterance import Utterance


def parse_synthetic(data_folder: Path) -> Iterator[Utterance]:
    """Yields the utterances which ``labels.csv`` lists.

    Raises ValueError no ``labels.csv``, or one with other columns.
    """
    labels = Path(data_folder) / "labels.csv"
    if not labels.is_file():
        raise ValueError(
            f"Synthetic: no {labels}; write the corpus with: "
            "python -m speechbrain_e2v.corpora.synthetic "
            f"--output {data_folder}"
        )
    with open(labels, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(
                f"Synthetic: {labels} has the columns {reader.fieldnames}; "
                f"expected {list(COLUMNS)}."
            )
        for row in reader:
            yield Utterance(
                id=PurePosixPath(row["path"]).stem,
                wav=row["path"],
                emo_raw=row["label"],
                spk=row["speaker"],
                gender=row["gender"],
                dataset="Synthetic",
                extra={"sentence": row["sentence"]},
            )


CORPUS = Corpus(
    name="Synthetic",
    lang="",
    classes=EMOTIONS,
    label_map={emotion: emotion for emotion in EMOTIONS},
    parse=parse_synthetic,
    label_files=("labels.csv",),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
