"""A folder of videos -> features to train on, with people's opinions of them."""

import sys
from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems.video_summary import extraction, frame_features
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
A folder of videos -> features to train on, with people's opinions of them.

  PROGRAM holidays holidays.h5 --annotations=opinions.csv

`opinions.csv` has a line for each stretch of a video that somebody would keep:

  video,user,start,end
  beach.mp4,anna,0:04,0:12.5

Times are seconds, m:ss or h:mm:ss, as a player shows them. A fifth column
`score` says how important a stretch is, from 1 (dull) to 5 (must be kept).
The same as JSON: {"beach.mp4": {"anna": [[4, 12.5]], "ben": [[61, 70]]}}.

A video's name is its path in the folder without the suffix, `_` for each `/`;
annotations may name it by its path, or by its file's name if no other has it.

The folder is searched to the bottom. A file that is not readable as a video is
named and left out; the others are written, and the exit code is 1. A call that
was interrupted goes on where it stood.""",
    words=("videos", "output"),
    main=("extractor", "annotations", "cache_dir"),
)


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    _define_flags()
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _define_flags():
    flags.DEFINE_string("videos", None, "Folder of videos.", required=True)
    flags.DEFINE_string("output", None, "The .h5 file to write.", required=True)
    flags.DEFINE_enum(
        "extractor",
        frame_features.DEFAULT,
        sorted(frame_features.EXTRACTORS),
        "What turns frames into features.",
    )
    flags.DEFINE_string(
        "annotations", None, "People's opinions: a .csv or .json file, see above."
    )
    flags.DEFINE_string(
        "cache_dir",
        None,
        "Where features are kept; $GPSATTN_CACHE_DIR or ~/.cache/gpsattn_jax by "
        "default.",
    )


def _main(given):
    """Extracts; all of it is in `systems/`."""
    found = extraction.extract_folder(
        given.videos,
        given.output,
        given.extractor,
        annotations=given.annotations,
        cache_dir=given.cache_dir,
    )
    size = frame_features.EXTRACTORS[given.extractor].size
    for problem in found.damaged:
        print(f"Warning: {problem}", file=sys.stderr)
    print(
        f"{given.output}: {len(found.written)} videos, {len(found.annotated)} of them "
        f"annotated; features [T, {size}] of {given.extractor}"
    )
    if found.broken:
        print(f"Left out, {len(found.broken)} in all:", file=sys.stderr)
        print("\n".join(found.broken), file=sys.stderr)
        return 1
    return 0
