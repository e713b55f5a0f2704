r"""A folder of videos -> features to train on, with people's opinions of them.

python experiments/extract_features.py --videos=holidays --output=holidays.h5 \
    --annotations=opinions.csv

`opinions.csv` has a line for each stretch of a video that somebody would keep, times in
seconds, m:ss or h:mm:ss:

    video,user,start,end
    beach.mp4,anna,0:04,0:12.5
    beach.mp4,ben,61,70

With a fifth column `score`, from 1 (dull) to 5 (must not be missing), lines say how
important a stretch is; what a user does not mention has 1. The same as JSON:
{"beach.mp4": {"anna": [[4, 12.5]], "ben": [[61, 70]]}}. All videos of one file of
features should be annotated in the same way. Times are those that a player shows.

The folder is searched to the bottom. A video's name is its path in it without the
suffix, `_` for each `/`; annotations may name it by its path, or by its file's name
alone where no other file has it.

Then write splits, a JSON list such as
[{"train_keys": ["beach", "skiing", "zoo"], "test_keys": ["city"]}], and train:

python experiments/pglsum.py --setup=summe --workdir=runs/holidays \
    --data.file=holidays.h5 --data.splits=splits.json \
    --data.extractor=efficientnet_lite0 --model.input_size=1280 \
    --data.validation_videos=1 --train.batch_size=2

A file that is not readable as a video is named and left out; the others are
written, and the exit code is 1. Features are kept in the cache folder: a call that was
interrupted goes on where it stood.
"""

import sys

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems.video_summary import extraction as video_extraction
from gpsattn_jax.systems.video_summary import frame_features

_VIDEOS = flags.DEFINE_string("videos", None, "Folder of videos.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The .h5 file to write.", required=True)
_EXTRACTOR = flags.DEFINE_enum(
    "extractor",
    frame_features.DEFAULT,
    sorted(frame_features.EXTRACTORS),
    "What turns frames into features.",
)
_ANNOTATIONS = flags.DEFINE_string(
    "annotations", None, "People's opinions: a .csv or .json file, see above."
)
_CACHE_DIR = flags.DEFINE_string(
    "cache_dir",
    None,
    "Where features are kept; $GPSATTN_CACHE_DIR or ~/.cache/gpsattn_jax by default.",
)


def main(_):
    """Extracts; all of it is in `systems/`."""
    found = video_extraction.extract_folder(
        _VIDEOS.value,
        _OUTPUT.value,
        _EXTRACTOR.value,
        annotations=_ANNOTATIONS.value,
        cache_dir=_CACHE_DIR.value,
    )
    size = frame_features.EXTRACTORS[_EXTRACTOR.value].size
    for problem in found.damaged:
        print(f"Warning: {problem}", file=sys.stderr)
    print(
        f"{_OUTPUT.value}: {len(found.written)} videos, {len(found.annotated)} of them "
        f"annotated; features [T, {size}] of {_EXTRACTOR.value}"
    )
    if found.broken:
        print(f"Left out, {len(found.broken)} in all:", file=sys.stderr)
        print("\n".join(found.broken), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    config_flags.run(main)
