"""Actions in a long sequence of joints, or as joints come in: a line each window."""

from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import CHECKPOINTS, gpsnet
from gpsattn_jax.systems.gpsnet import stream
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
Actions in a long sequence of joints, or as joints come in: a line for each
window says where it ends, what it shows, and how likely that is.

  PROGRAM long.npy --workdir=runs/mine --fps=30
  pose_estimator | PROGRAM - --weights=gpsnet-utkinect --every=0.5

With - each line of standard input is a frame:
{"joints": [[x, y, z], null, ...]} or, of several persons,
{"joints": [[[x, y, z], ...], ...]}, null for what is missing, and if wanted
"time" in seconds. The run is one of GPS-Net.""",
    words=("clip",),
    main=(
        "workdir", "weights", "checkpoint", "json", "window", "every", "smooth",
        "threshold", "fps",
    ),
)  # fmt: skip


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    _define_flags()
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _define_flags():
    config_flags.define_workdir(
        "Of a trained run.", "In its place a file of a run, or a name of a network."
    )
    flags.DEFINE_string(
        "clip", None, "A clip's file, or - for standard input.", required=True
    )
    flags.DEFINE_enum("checkpoint", "latest", CHECKPOINTS, "Of a run.")
    flags.DEFINE_bool("json", False, "JSON lines: time, label, confidence.")
    config_flags.define(stream.Config)


def _main(given):
    """Recognises until the sequence ends; all of it is in `systems/`."""
    config = config_flags.override(stream.Config())
    trained = gpsnet.restore(given.workdir or given.weights, given.checkpoint)
    stream.print_stream(trained, given.clip, config, as_json=given.json)
