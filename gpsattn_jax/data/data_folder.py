"""The folder of data sets: what a call names, or the environment."""

import os
import pathlib

VARIABLE = "GPSATTN_DATA_DIR"
# The end of every message about data that is not there.
ADVICE = f"Name the folder of the data with --data_dir or {VARIABLE}."


def data_folder(data_dir: str | os.PathLike | None = None) -> pathlib.Path | None:
    """The folder of data sets.

    Args:
        data_dir: the folder; `$GPSATTN_DATA_DIR` if None.

    Returns:
        The folder, or None where neither names one. An empty text names none.
    """
    folder = os.environ.get(VARIABLE, "") if data_dir is None else os.fspath(data_dir)
    return pathlib.Path(folder) if folder else None
