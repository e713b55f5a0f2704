"""Tables in CSV files, as spreadsheets and scripts of all countries write them."""

import csv
import dataclasses
import io
import os
import pathlib

from gpsattn_jax.reader_errors import read_text

MOST_BYTES = 2**30  # of a table
_DELIMITERS = (",", ";", "\t")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with a header.

    Attributes:
        path: of its file.
        header: the names of its columns, in small letters.
        rows: (number of the line in the file, cells), of each row that is not empty.
        delimiter: what stands between cells.
    """

    path: pathlib.Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    delimiter: str

    def number(self, cell: str) -> float:
        """A cell as a number; ";" between cells leaves the comma to decimals."""
        if self.delimiter == ";":
            cell = cell.replace(",", ".")
        return float(cell)


def read_table(path: str | os.PathLike) -> Table:
    """Reads a table whose cells are divided by commas, semicolons or tabs.

    Cells that hold the delimiter stand in double quotes.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is no CSV file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table.")
    try:
        text = read_text(path, "a table", MOST_BYTES)
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = max(_DELIMITERS, key=first.count)
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True
        )
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{path}: must be a CSV file; got {error}.") from None
    header = [name.strip().lower() for name in rows[0][1]] if rows else []
    return Table(path, header, rows[1:], delimiter)
