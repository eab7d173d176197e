"""Reading what people wrote: CSV tables with a header line, class names."""

import csv
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Nobody sees them, and they make two classes of one. Joiners stay: scripts
# and emoji are written with them.
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_SEPARATOR = "=>"  # in SpeechBrain's label files
_SHOWN = 5


def read_text(path: str | os.PathLike) -> str:
    """A UTF-8 text file, without a byte order mark.

    Raises ValueError for other encodings, naming file and line.
    """
    data = Path(path).read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError(f"{path}: UTF-16, not UTF-8; save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: not UTF-8 ({error.reason}); save it as UTF-8"
        ) from error


def read_table(
    path: str | os.PathLike, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a UTF-8 CSV file, each with the number of its last line.

    The header must have ``columns``; others are kept.

    Raises ValueError for a column that is missing or there twice, a row with
    too few or too many fields, no row at all, or text that is not UTF-8, naming
    the file and the line.

    >>> path = getfixture("tmp_path") / "labels.csv"
    >>> _ = path.write_text('file,label\\na.wav,"sad, very"\\n')
    >>> list(read_table(path, ["file"]))
    [(2, {'file': 'a.wav', 'label': 'sad, very'})]
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        header = list(reader.fieldnames or [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(
                f"{path}: the columns {missing} are missing; the header is "
                f"{header}"
            )
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise ValueError(
                f"{path}: the columns {twice} are there more than once; keep "
                "one of each"
            )
        empty = True
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(
                    f"{path}, line {reader.line_num}: not {len(header)} "
                    "fields; put quotes around text that has commas"
                )
            yield reader.line_num, row
            empty = False
        if empty:
            raise ValueError(f"{path} has a header and no row")
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def clean_label(text: str) -> str:
    """A class name as it looks: composed (NFC), without what is invisible.

    >>> clean_label(" tre\\u0301s \\u200b triste\\u00a0") == "tr\\u00e9s triste"
    True
    """
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    label = " ".join(visible.split())
    if label:
        check_class_name(label)
    return label


def check_class_name(name: str) -> None:
    """Refuse class names that no label file or terminal could show.

    >>> check_class_name("a => b")
    Traceback (most recent call last):
    ...
    ValueError: the class 'a => b' has '=>', which separates classes from
    numbers in SpeechBrain's label files; rename it
    """
    if _SEPARATOR in name:
        raise ValueError(
            f"the class {name!r} has {_SEPARATOR!r}, which separates classes "
            "from numbers in SpeechBrain's label files; rename it"
        )
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise ValueError(f"the class {name!r} has a control character")


def refuse_near_equal(labels: Iterable[str], where: str | os.PathLike) -> None:
    """Raise ValueError for labels that differ in capitals or joints only.

    >>> refuse_near_equal(["sad", "angry", "Sad"], "labels.csv")
    Traceback (most recent call last):
    ...
    ValueError: labels.csv: 'Sad', 'sad' look like one class; write them alike
    """
    alike: dict[str, set[str]] = {}
    for label in labels:
        plain = unicodedata.normalize("NFKC", label).casefold()
        alike.setdefault(re.sub(r"[\W_]+", "", plain) or plain, set()).add(
            label
        )
    groups = [sorted(found) for found in alike.values() if len(found) > 1]
    if groups:
        shown = "; ".join(
            ", ".join(map(repr, group)) for group in groups[:_SHOWN]
        )
        raise ValueError(
            f"{where}: {shown} look like one class; write them alike"
        )
