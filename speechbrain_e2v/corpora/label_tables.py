"""Reading the label tables of corpora: CSV with a header line."""

import csv


def read_table(path, columns):
    """Rows of a UTF-8 CSV file whose header must have certain columns.

    Arguments
    ---------
    path : str or Path
        The file; a byte order mark is skipped.
    columns : sequence of str
        Columns that must be there; others are kept.

    Yields
    ------
    tuple
        (line number of the row's end, dict of column to text).

    Raises
    ------
    ValueError
        For a missing column, a row with too few or too many fields, or
        text that is not UTF-8, naming the file and the line.

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
