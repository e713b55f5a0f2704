"""Compares scorers of SumMe's and TVSum's shots; run it again to go on.

python -m benchmarks.summaries --data_dir=data
python -m benchmarks.summaries --data_dir=data --minutes=10    # stops after these

The JSON in --results_dir is written after each result, the table beside it at the end.
"""

import pathlib

from absl import app, flags

from benchmarks.summaries import table
from benchmarks.summaries.scorers import SCORERS
from benchmarks.summaries.session import Session, say
from gpsattn_jax import launch
from gpsattn_jax.files import replaced

_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
)
_RESULTS_DIR = flags.DEFINE_string(
    "results_dir", "runs/summaries", "Folder of JSON and table."
)
_SCORERS = flags.DEFINE_multi_enum(
    "scorer", None, list(SCORERS), "This one's results alone; may be repeated."
)
_MINUTES = flags.DEFINE_float(
    "minutes", float("inf"), "After these no result is begun.", lower_bound=0.0
)


def main(_) -> None:
    """Works, then prints the table of what is there."""
    folder = pathlib.Path(_RESULTS_DIR.value)
    session = Session(folder / "summaries.json", _DATA_DIR.value)
    missing = session.run(_MINUTES.value, _SCORERS.value or list(SCORERS))
    text = table.write(session.found)
    with replaced(folder / "summaries.md") as partial:
        partial.write_text(text)
    print(text, end="")
    if missing:
        say(f"{missing} results are missing; the same command goes on.")


if __name__ == "__main__":
    launch.preload_allocator()
    app.run(main)
