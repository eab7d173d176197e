"""Reading the label tables of corpora: CSV with a header line."""

import csv
import os
from collections.abc import Iterator, Sequence


def read_table(
    path: str | os.PathLike, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a UTF-8 CSV file, each with the number of its last line.

    The header must have ``columns``; others are kept.

    Raises ValueError for a missing column, a row with too few or too many
    fields, or text that is not UTF-8, naming the file and the line.

    Example
    -------
    >>> path = getfixture("tmp_path") / "labels.csv"
    >>> _ = path.write_text('file,label\\na.wav,"sad, very"\\n')
    >>> list(read_table(path, ["file"]))
    [(2, {'file': 'a.wav', 'label': 'sad, very'})]
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        try:
            header = reader.fieldnames or []
            missing = [name for name in columns if name not in header]
            if missing:
                raise ValueError(
                    f"{path}: the columns {missing} are missing; the header "
                    f"is {header}"
                )
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(
                        f"{path}, line {reader.line_num}: not "
                        f"{len(header)} fields; put quotes around text that "
                        "has commas"
                    )
                yield reader.line_num, row
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}: not UTF-8 ({error.reason} at byte {error.start}); "
                "save it as UTF-8"
            ) from error
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {reader.line_num}: {error}"
            ) from error
