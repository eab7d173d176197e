"""Small trees in the layouts of the real corpora, with generated audio."""

import importlib.util
import io
import json
from functools import lru_cache
from pathlib import Path

import numpy
import soundfile

from speechbrain_e2v.corpora.manifest import read_manifest
from speechbrain_e2v.corpora.prepare import prepare

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
ODD_TEXT = (
    'He said: "it {costs} $5, {0}", \\n 100 % – “sure” 😀 中文 عربى Ελλ {{x}'
)


@lru_cache
def recipe(folder, attribute="CORPUS"):
    """The corpus that a recipe's prepare script defines."""
    name = f"{folder.lower().replace('-', '_')}_prepare"
    spec = importlib.util.spec_from_file_location(
        f"fake_{name}", RECIPES / folder / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, attribute)


@lru_cache
def wav_bytes(seconds, rate, channels):
    generator = numpy.random.default_rng(0)
    samples = 0.1 * generator.standard_normal((round(seconds * rate), channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def make_wav(path, seconds=0.1, rate=16000, channels=1):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(seconds, rate, channels))


def make_text(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def make_wavs(folder, names, **options):
    for name in names:
        make_wav(Path(folder) / f"{name}.wav", **options)


def parsed(corpus, folder):
    """What a parser yields, by id; equal ids are an error."""
    utterances = list(corpus.parse(Path(folder)))
    by_id = {u.id: u for u in utterances}
    assert len(by_id) == len(utterances)
    return by_id


def prepared(corpus, folder, out, strict_counts=False):
    """Rows of the manifest by id, and the report."""
    manifest = prepare(corpus, folder, out, strict_counts, progress=False)
    report = json.loads((Path(out) / "prepare_report.json").read_text("utf-8"))
    return {u.id: u for u in read_manifest(manifest)}, report


def skipped(report):
    return {
        reason: sorted(entry["utterances"])
        for reason, entry in report["skipped"].items()
    }


def ravdess(folder, speech=True):
    channel = 1 if speech else 2
    for actor in ("01", "02"):
        for emotion in range(1, 9 if speech else 7):
            name = f"03-0{channel}-0{emotion}-01-01-01-{actor}"
            make_wav(folder / f"Actor_{actor}" / f"{name}.wav", rate=48000)
    return folder


def iemocap(folder):
    """Three sessions; the traps are in sessions 1, 3 and 5."""
    dialogs = {
        "Ses01F_impro01": {
            "F000": "neu",
            "F001": "ang",
            "M000": "hap",
            "M001": "exc",
        },
        "Ses01M_script01_1": {"F000": "sad", "M000": "fru", "M001": "xxx"},
        "Ses03M_impro05a": {"F000": "neu", "M000": "sad"},
        "Ses05M_script01_1b": {"F000": "ang", "M000": "oth"},
    }
    for dialog, turns in dialogs.items():
        session = folder / f"Session{int(dialog[3:5])}"
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        for i, (turn, label) in enumerate(turns.items()):
            make_wav(
                session / "sentences/wav" / dialog / f"{dialog}_{turn}.wav"
            )
            lines += [
                f"[{i}.1000 - {i}.5000]\t{dialog}_{turn}\t{label}"
                "\t[2.5000, 3.0000, 3.5000]",
                "C-E1:\tNeutral;\t()",
                "C-E2:\tHappiness; Excited;\t(loud; he laughs)",
                "C-E4:\tAnger; Frustration;\t()",
                "C-F1:\tSadness;\t()",
                "A-E3:\tval 3; act 2; dom  2;\t()",
                "",
            ]
        labels = session / "dialog/EmoEvaluation"
        make_text(labels / f"{dialog}.txt", "\n".join(lines))
        make_text(labels / "Categorical" / f"{dialog}_e1_cat.txt", "[nonsense")
    first = folder / "Session1"
    make_text(first / "dialog/EmoEvaluation/._Ses01F_impro01.txt", "\x00\x05")
    make_text(
        first / "sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav", "x"
    )
    make_text(
        first / "dialog/transcriptions/Ses01F_impro01.txt",
        f"Ses01F_impro01_F000 [000.1000-000.5000]: {ODD_TEXT}\n"
        "Ses01F_impro01_MXX0 [001.0000-001.2000]: Hm.\n"
        "F: [noise]\n",
    )
    return folder


MELD_HEADER = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,"
    "Season,Episode,StartTime,EndTime\n"
)


def meld_row(dialog, number, emotion, speaker="Joey", text="Hi"):
    text = text.replace('"', '""')
    return (
        f'1,"{text}",{speaker},{emotion},neutral,{dialog},{number},1,2,'
        '"00:00:01,000","00:00:02,000"\n'
    )


def meld(folder):
    train, dev, test = (
        folder / "train/train_splits",
        folder / "dev/dev_splits_complete",
        folder / "test/output_repeated_splits_test",
    )
    make_wavs(train, ["dia0_utt0", "dia0_utt1"])
    make_wav(train / "dia0_utt2.wav", channels=6, rate=48000)
    make_wavs(dev, ["dia0_utt0", "dia49_utt4"])
    make_wavs(test, ["dia0_utt0", "final_videos_testdia0_utt0"])
    make_text(test / "._dia0_utt0.wav", "x")
    make_text(
        folder / "train/train_sent_emo.csv",
        MELD_HEADER
        + meld_row(0, 0, "neutral", text=ODD_TEXT.replace("\\n", "\n"))
        + meld_row(0, 1, "joy", "Mark")
        + meld_row(0, 2, "fear")
        + meld_row(125, 3, "anger"),
    )
    make_text(
        folder / "dev_sent_emo.csv",
        MELD_HEADER + meld_row(0, 0, "surprise") + meld_row(110, 7, "joy"),
    )
    make_text(
        folder / "test_sent_emo.csv",
        MELD_HEADER + meld_row(0, 0, "sadness", "Mark"),
    )
    return folder


def mosi(folder):
    raw = folder / "Raw"
    make_wavs(
        raw / "Audio/WAV_16000/Segmented",
        [
            "2iD-tVS8NPw_1",
            "_dI--eQ6qVU_12",
            "tmZoasNr4rU_3",
            "03bSnISJMiM_0",
            "03bSnISJMiM_1",
        ],
    )
    make_text(
        raw / "Labels/OpinionLevelSentiment.csv",
        "0.1,0.9,2iD-tVS8NPw,1,1.2\n0.1,0.9,_dI--eQ6qVU,12,-0.6\n"
        "0.1,0.9,tmZoasNr4rU,3,-2.8\n0.1,0.9,03bSnISJMiM,0,0.0\n"
        "1.1,1.9,03bSnISJMiM,1,-0.0\n",
    )
    make_text(
        raw / "Transcript/Segmented/2iD-tVS8NPw.annotprocessed",
        f"1_DELIM_{ODD_TEXT}\n2_DELIM_NO AUDIO",
    )
    return folder


def mosei(folder):
    raw = folder / "Raw"
    audio = raw / "Audio/Full/WAV_16000"
    text = raw / "Transcript/Segmented/Combined"
    videos = {"vidA": "train", "-vidB": "valid", "vid_": "test", "vidD": None}
    make_wavs(audio, videos, seconds=2.0)
    make_text(
        text / "vidA.txt",
        f"vidA___1___0.8___1.6___{ODD_TEXT}\n"
        "vidA___0___-0.4___0.8___he said ____ and {x}\r\n"
        "vidA___2___1.6___1.9___unlabelled\u2028line\n",
    )
    make_text(text / "-vidB.txt", "-vidB___0___0.0___1.0___b\n")
    make_text(text / "vid_.txt", "vid____0___0.0___1.0___c\n")
    make_text(text / "vidD.txt", "vidD___0___0.0___1.0___d\n")
    header = ",file,index,start,end,label2a,label2b,label6,label7,split\n"
    make_text(
        folder / "CMU_MOSEI_Labels.csv",
        header
        + "0,vidA,0,0.8,1.6,1,1,0,2,0\n"
        + "1,vidA,1,-0.4,0.8,0,-1,0,-1,0\n"
        + "2,vidA,2,1.7,1.7,1,1,0,1,0\n"
        + "3,-vidB,0,0.0,1.0,1,0,0,0,1\n"
        + "4,-vidB,1,1.0,1.5,1,1,0,1,1\n"
        + "5,vid_,0,0.0,1.0,0,-1,0,-3,2\n"
        + "6,vidD,0,0.0,1.0,1,1,0,1,3\n",
    )
    folds = {
        part: [v for v, p in videos.items() if p == part] + [f"other {part}"]
        for part in ("train", "valid", "test")
    }
    make_text(
        folder / "cmu_mosei_std_folds.py",
        "\n".join(f"standard_{p}_fold={v!r}" for p, v in folds.items())
        + "\nraise RuntimeError('this file must not be executed')\n",
    )
    return folder


def mead(folder):
    make_wavs(
        folder,
        [
            "M003/audio/angry/level_1/001",
            "M003/audio/neutral/level_1/001",
            "W009/audio/sad/level_3/030",
        ],
        rate=48000,
        channels=2,
    )
    make_text(folder / "__MACOSX/M003/001.wav", "x")
    make_text(folder / "M003/audio/angry/level_1/._001.wav", "x")
    return folder


def msp(folder, audio="Audios", labels="Labels/labels_concensus.csv"):
    make_wavs(
        folder / audio,
        ["MSP-PODCAST_0001_0008", "MSP-PODCAST_0001_0009", "MSP-PODCAST_2_1"],
    )
    make_text(
        folder / labels,
        "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
        "MSP-PODCAST_0001_0008.wav,X,4.0,4.0,4.0,Unknown,Female,Train\n"
        "MSP-PODCAST_0001_0009.wav,A,4.0,4.0,4.0,12,Male,Validation\n"
        "MSP-PODCAST_2_1.wav,O,4.0,4.0,4.0,13,Male,Test2\n",
    )
    return folder


def msp_workers(folder):
    """The same, and what three workers said of a segment."""
    said = ("Angry", "Other-tired", "Angry")
    workers = {
        f"WORKER{i}": {"EmoClass_Major": name, "EmoClass_Second": "Sad,Angry"}
        for i, name in enumerate(said)
    }
    make_text(
        msp(folder) / "Labels/labels_detailed.json",
        json.dumps({"MSP-PODCAST_0001_0009.wav": workers}),
    )
    return folder


def crema_d(folder, raters=True):
    """Clips with the votes of three raters, of who heard or saw them."""
    clips = [
        f"1{actor}_DFA_{emotion}_XX"
        for actor in ("001", "002", "003", "004")
        for emotion in ("ANG", "SAD")
    ]
    make_wavs(folder / "AudioWAV", clips)
    rows, counts, winners = [], [], []
    for number, clip in enumerate(clips, start=1):
        heard = clip[9] * 2 + "N"
        for rater, emotion in enumerate(heard):
            rows.append(f"{len(rows)},{rater},1,{clip},{emotion}")
            rows.append(f"{len(rows)},{rater},2,{clip},H")
        for query, said in ((1, heard), (2, "HHH")):
            cells = ",".join(str(said.count(code)) for code in "ADFHNS")
            counts.append(f"{100000 * query + number},{cells},{clip}")
        winners.append(f"{number},{clip},{clip[9]}")
    tables = {
        "processedResults/tabulatedVotes.csv": (
            '"",A,D,F,H,N,S,fileName', counts),
        "processedResults/summaryTable.csv": (
            '"",FileName,VoiceVote', winners),
    }  # fmt: skip
    if raters:
        header = '"",localid,queryType,clipName,respEmo'
        tables["finishedResponses.csv"] = (header, rows)
    for name, (header, lines) in tables.items():
        make_text(folder / name, "\n".join([header, *lines, ""]))
    return folder


def msp_rated(folder):
    """The same, and three segments of the parts that a regression uses."""
    msp(folder)
    table = folder / "Labels/labels_concensus.csv"
    rows = [
        "MSP-PODCAST_0_0.wav,N,1.0,2.5,7.0,14,Male,Test1",
        "MSP-PODCAST_0_1.wav,H,5.0,4.5,3.0,15,Female,Test1",
        "MSP-PODCAST_0_2.wav,S,2.0,1.5,6.0,16,Female,Train",
        "MSP-PODCAST_0_3.wav,S,4.0,3.5,5.0,17,Female,Validation",
    ]
    make_wavs(folder / "Audios", [row.split(".wav")[0] for row in rows])
    text = table.read_text("utf-8")
    make_text(table, text + "\n".join(rows) + "\n")
    return folder


def mosei_scores(folder):
    """The same, and the sentiment itself, numbered as the transcripts are."""
    mosei(folder)
    make_text(
        folder / "label.csv",
        "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
        'vidA,0,"he, said",-0.3333333333,,,,Negative,train\n'
        "vidA,1,x,0.6666666865,,,,Positive,train\n"
        "-vidB,0,b,0.0,,,,Neutral,valid\n"
        "vid_,0,c,-3.0,,,,Negative,test\n"
        "vidD,0,d,1.0,,,,Positive,test\n",
    )
    return folder


def m3ed(folder):
    def entry(speaker, emotion, text):
        return {
            "StartTime": "0",
            "EndTime": "1",
            "Text": text,
            "Speaker": speaker,
            "EmoAnnotation": {"final_main_emo": emotion},
        }

    speakers = {"A": {"Name": "方宇"}, "B": {"Name": "钱贝贝"}}
    make_text(
        folder / "annotation.json",
        json.dumps(
            {
                "fendou": {
                    "fendou_1": {
                        "SpeakerInfo": speakers,
                        "Dialog": {
                            "fendou_1_1": entry("A", "Happy", ODD_TEXT),
                            "fendou_1_2": entry("B", "Fear", "好"),
                        },
                    }
                },
                "huanlesong": {
                    "huanlesong_2": {
                        "SpeakerInfo": speakers,
                        "Dialog": {
                            "huanlesong_2_1": entry("A", "Neutral", "a"),
                            "huanlesong_2_2": entry("A", "Surprise", "b"),
                        },
                    }
                },
                "humamaoba": {
                    "humamaoba_1": {
                        "SpeakerInfo": speakers,
                        "Dialog": {"humamaoba_1_1": entry("B", "Disgust", "c")},
                    }
                },
            },
            ensure_ascii=False,
        ),
    )
    make_text(folder / "splitInfo/movie_list_train.txt", "fendou\nother\n")
    make_text(folder / "splitInfo/movie_list_val.txt", "x\nhumamaoba")
    make_text(folder / "splitInfo/movie_list_test.txt", "huanlesong\n")
    audio = folder / "modality_speech"
    make_wavs(audio, ["A_fendou_1_1", "B_humamaoba_1_1", "A_huanlesong_2_1"])
    make_wav(audio / "B_fendou_1_2.wav", seconds=0)
    make_wav(audio / "A_huanlesong_2_2.wav", seconds=0.007)  # 112 samples
    return folder


def resd(folder):
    make_wav(folder / "train/anger_disgust_19/19_anger_disgust_a_010.wav")
    make_wav(folder / "train/01_fear_sad/01_fear_sadness_s_020.wav", rate=44100)
    make_wav(folder / "test/x/04_fear_enthusiasm f_030.wav")
    make_text(
        folder / "train.csv",
        "name,path,emotion,text\n"
        "a,anger_disgust_19/19_anger_disgust_a_010.wav,anger,"
        '"Привет, {мир}"\n'
        "b,01_fear_sad/01_fear_sadness_s_020.wav,sadness,x\n",
    )
    make_text(
        folder / "test.csv",
        "name,path,emotion,text\nc,x/04_fear_enthusiasm f_030.wav,fear,y\n",
    )
    return folder
