r"""A video in, a summary out: an mp4 with its sound, a JSON, a storyboard, a plot.

python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 --seconds=30
python experiments/summarize_video.py --video=in.mp4 --output=summary.mp4 \
    --checkpoint=runs/mine

Without a checkpoint, scores say how well a part stands for the whole video; nothing is
trained then, and all outputs say so. A checkpoint (or --weights) is the workdir of a
run of experiments/pglsum.py on features that experiments/extract_features.py made, or
of its setups summe_shots and tvsum_shots; or pglsum-tvsum, which comes with the
package.

Beside OUTPUT.mp4 stand OUTPUT.json (segments and shots in seconds, scores),
OUTPUT_storyboard.png and OUTPUT_scores.png. Each appears whole or not at all. All times
are those of a player: 0:00 is where the file begins, which may be before its picture.
The sound is the track that players take, or --audio=N, a language, or none. Features
are kept in the cache folder: another summary of the same video takes seconds.
"""

import sys

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems.video_summary import run as video_summary

_VIDEO = flags.DEFINE_string("video", None, "The video.", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "The mp4 to write.", required=True)
_PICTURES = flags.DEFINE_string(
    "pictures", None, "Folder of the pictures; the output's by default."
)
_CACHE_DIR = flags.DEFINE_string(
    "cache_dir",
    None,
    "Where features are kept; $GPSATTN_CACHE_DIR or ~/.cache/gpsattn_jax by default.",
)
config_flags.define(video_summary.Config)
flags.DEFINE_alias("weights", "checkpoint")


def main(_):
    """Summarises one video; all of it is in `systems/`."""
    config = config_flags.override(video_summary.Config())
    video, output = _VIDEO.value, _OUTPUT.value
    video_summary.check_output(output, video)
    report = _report()
    if report is not None:
        for path in report.picture_paths(output, _PICTURES.value):
            video_summary.check_output(path, video, ".png")
    summary = video_summary.summarize_video(
        video, output, config, cache_dir=_CACHE_DIR.value
    )
    video_summary.print_summary(summary, output)
    if report is not None:
        pictures = report.draw_summary(summary, output, _PICTURES.value)
        print("pictures   " + ", ".join(map(str, pictures)))


def _report():
    """What draws; without matplotlib, an error only if pictures were asked for."""
    try:
        from gpsattn_jax.systems.video_summary import report as video_summary_report
    except ImportError as error:
        if _PICTURES.value is not None:
            raise
        why = f"({error}): pip install gpsattn-jax[plot]"
        print(f"There will be no pictures {why}", file=sys.stderr)
        return None
    return video_summary_report


if __name__ == "__main__":
    config_flags.run(main)
