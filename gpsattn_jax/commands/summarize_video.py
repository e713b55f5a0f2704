"""A video in, a summary out: an mp4 with its sound, a JSON, a storyboard, a plot."""

import sys
from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems.video_summary import run as video_summary
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
A video in, a summary out: an mp4 with its sound, a JSON, a storyboard, a plot.

  PROGRAM in.mp4 summary.mp4 --ratio=0.15
  PROGRAM in.mp4 summary.mp4 --seconds=30 --weights=pglsum-tvsum

Without --checkpoint (or --weights, the same) scores say how well a part stands
for the whole video; nothing is trained then, and all outputs say so. It is the
workdir of a run of PGL-SUM on features that extract-features made, or of its
setups summe_shots and tvsum_shots; or pglsum-tvsum, which comes along.

Beside OUTPUT.mp4 stand OUTPUT.json, OUTPUT_storyboard.png and
OUTPUT_scores.png, each whole or not at all. Times are a player's: 0:00 is where
the file begins.""",
    words=("video", "output"),
    main=("ratio", "seconds", "checkpoint", "extractor", "audio", "pictures",
          "cache_dir"),
)  # fmt: skip


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    _define_flags()
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _define_flags():
    flags.DEFINE_string("video", None, "The video.", required=True)
    flags.DEFINE_string("output", None, "The mp4 to write.", required=True)
    flags.DEFINE_string(
        "pictures", None, "Folder of the pictures; the output's by default."
    )
    flags.DEFINE_string(
        "cache_dir",
        None,
        "Where features are kept; $GPSATTN_CACHE_DIR or ~/.cache/gpsattn_jax by "
        "default.",
    )
    config_flags.define(video_summary.Config)
    flags.DEFINE_alias("weights", "checkpoint")


def _main(given):
    """Summarises one video; all of it is in `systems/`."""
    config = config_flags.override(video_summary.Config())
    video, output = given.video, given.output
    video_summary.check_output(output, video)
    report = _report(given.pictures)
    if report is not None:
        for path in report.picture_paths(output, given.pictures):
            video_summary.check_output(path, video, ".png")
    summary = video_summary.summarize_video(
        video, output, config, cache_dir=given.cache_dir
    )
    video_summary.print_summary(summary, output)
    if report is not None:
        drawn = report.draw_summary(summary, output, given.pictures)
        print("pictures   " + ", ".join(map(str, drawn)))


def _report(folder):
    """What draws; without matplotlib, an error only if pictures were asked for."""
    try:
        from gpsattn_jax.systems.video_summary import report
    except ImportError as error:
        if folder is not None:
            raise
        why = f"({error}): pip install gpsattn-jax[plot]"
        print(f"There will be no pictures {why}", file=sys.stderr)
        return None
    return report
