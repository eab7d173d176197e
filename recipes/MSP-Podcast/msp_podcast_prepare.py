#!/usr/bin/env python3
"""MSP-Podcast, release 1.8 (Lotfian & Busso, 2019).

What: 73,042 segments of English podcasts, 113.5 hours in the paper, 16 kHz
mono, 2 to 12 seconds. Here for pre-training only, with all labels, also
other (O) and no agreement (X); the label is kept as ``extra["label"]``.
Licence: academic agreement with the University of Texas at Dallas.
Where: https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html
Layout: ``Audios/MSP-PODCAST_0001_0008.wav`` (or ``Audio``) and
``Labels/labels_concensus.csv`` (also spelled ``labels_consensus.csv``).
Traps: the paper counts 72,969, 73 fewer, which is not explained; a speaker
can be ``Unknown`` (1,273 are known).

> python msp_podcast_prepare.py --data_folder DIR --manifest msp.json
"""

from speechbrain_e2v.dataio.folders import find_file
from speechbrain_e2v.dataio.prepare import Corpus, prepare_main
from speechbrain_e2v.dataio.tables import read_table
from speechbrain_e2v.dataio.utterance import Utterance

TABLE = "labels_con[cs]ensus.csv"
COLUMNS = ("FileName", "EmoClass", "SpkrID", "Gender", "Split_Set")
FOLDERS = ("Audios", "Audio")
PARTS = {
    "Train": "train",
    "Validation": "valid",
    "Test1": "test",
    "Test2": "test",
}
GENDERS = {"Female": "F", "Male": "M"}


def parse(data_folder):
    """Yield every segment of the label table.

    Arguments
    ---------
    data_folder : Path
        The unpacked release.

    Raises
    ------
    ValueError
        Without the label table or the folder of audio, or for a part that
        is not known.
    """
    table = find_file(data_folder, TABLE, "the release")
    folders = [name for name in FOLDERS if (data_folder / name).is_dir()]
    if not folders:
        raise ValueError(
            f"MSP-Podcast: none of {FOLDERS} in {data_folder}; give the "
            "unpacked MSP-PODCAST-Publish-1.8"
        )
    for line, row in read_table(table, COLUMNS):
        if row["Split_Set"] not in PARTS:
            raise ValueError(
                f"MSP-Podcast: {table}, line {line}: Split_Set is "
                f"{row['Split_Set']!r}; known are {sorted(PARTS)}"
            )
        speaker = row["SpkrID"]
        yield Utterance(
            id=row["FileName"].removesuffix(".wav"),
            wav=f"{folders[0]}/{row['FileName']}",
            spk="" if speaker == "Unknown" else speaker,
            gender=GENDERS.get(row["Gender"], "unknown"),
            split=PARTS[row["Split_Set"]],
            extra={"label": row["EmoClass"], "part": row["Split_Set"]},
        )


CORPUS = Corpus(
    name="MSP-Podcast",
    lang="en",
    classes=(),
    label_map={},
    expected={"utts": 73042, "speakers": 1273},
    paper_table1={"utts": 72969, "hours": 113.5},
    parse=parse,
    label_files=(f"**/{TABLE}",),
)

if __name__ == "__main__":
    prepare_main(CORPUS)
