"""The table of a folder's clips: their labels and splits."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from gpsattn_jax.data.skeletons.csv_tables import read_table
from gpsattn_jax.data.skeletons.messages import first_of, notice, shortened


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a row says of its clip.

    Attributes:
        label: a class's name or number.
        split: the part that the clip belongs to; "" for none.
        line: of the row in the file.
    """

    label: str
    split: str
    line: int


def read_labels(table: pathlib.Path, suffixes: Sequence[str]) -> dict[str, Entry]:
    """{name of a clip: what its row says}.

    Args:
        table: a CSV file with the columns name, label and, if wanted, split.
        suffixes: of clips; a name may end in one of them.

    Raises:
        FileNotFoundError: if the table is not there.
        ValueError: names the table and the rows that do not fit.
    """
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table of labels.")
    content = read_table(table)
    header, rows = content.header, content.rows
    if not {"name", "label"} <= set(header):
        raise ValueError(
            f"{table}: must have the columns name, label; got {shortened(header)}."
        )
    long = [f"row {line}" for line, row in rows if any(row[len(header) :])]
    if long:
        raise ValueError(
            f"{table}: rows must have {len(header)} cells, with double quotes around a "
            f"cell that holds {content.delimiter!r}; longer ones are {first_of(long)}."
        )
    found: dict[str, Entry] = {}
    for line, row in rows:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        name, label = cells.get("name", ""), cells.get("label", "")
        if not name or not label:
            raise ValueError(f"{table}: row {line} must have a name and a label.")
        name = _without_suffix(name.replace("\\", "/"), suffixes)
        if name in found:
            raise ValueError(
                f"{table}: row {line}: clips must differ in name; got {name!r} twice."
            )
        found[name] = Entry(label, cells.get("split", ""), line)
    return found


def sorted_classes(labels: set[str]) -> list[str]:
    """Labels in order, as numbers if all are."""
    if all(label.isdecimal() and len(label) < 19 for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def check_splits(where: str, counts: Mapping[str, int], used: Sequence[str]) -> None:
    """Refuses splits that are misspelt, and tells how many clips no used part has.

    Args:
        where: the table or file.
        counts: {split: how many clips it alone has}; "" for clips without one.
        used: the splits that a run trains and tests on.

    Raises:
        ValueError: if a split differs from a used one in nothing but capitals.
    """
    plain = {name.casefold(): name for name in used}
    for name in sorted(set(counts) - set(used)):
        meant = plain.get(name.casefold())
        if meant is not None:
            raise ValueError(
                f"{where}: split must be {meant!r}; got {name!r} for {counts[name]} "
                "clips."
            )
    left = collections.Counter({k: n for k, n in counts.items() if k not in used and n})
    if left:
        kinds = [f"{n} of {name!r}" if name else f"{n} without split"
                 for name, n in left.most_common()]  # fmt: skip
        notice(
            f"{where}: {sum(left.values())} clips are in no used part "
            f"({', '.join(used)}): {first_of(kinds)}."
        )


def _without_suffix(name, suffixes):
    for suffix in suffixes:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name
