r"""Actions in a long sequence of joints, or as joints come in: a line for each window.

python experiments/recognize_stream.py --workdir=runs/mine --clip=long.npy --fps=30
pose_estimator | python experiments/recognize_stream.py --workdir=runs/mine --clip=- \
    --window=2 --every=0.5 --smooth=3 --threshold=0.5

The run is one of experiments/gpsnet.py. With --clip=- each line of standard input is a
frame, {"joints": [[x, y, z], null, …]} or, of several persons, {"joints": [[[x, y, z],
…], …]}, null for what is missing, and if wanted "time" in seconds. A line that comes
out says where the window ends, what it shows, and how likely that is.
"""

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems import CHECKPOINTS, gpsnet
from gpsattn_jax.systems.gpsnet import stream

config_flags.define_workdir(
    "Of a trained run.", "In its place a file of a run, or a name of a network."
)
_CLIP = flags.DEFINE_string(
    "clip", None, "A clip's file, or - for standard input.", required=True
)
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "latest", CHECKPOINTS, "Of a run.")
_JSON = flags.DEFINE_bool("json", False, "JSON lines: time, label, confidence.")
config_flags.define(stream.Config)


def main(_):
    """Recognises until the sequence ends; all of it is in `systems/`."""
    config = config_flags.override(stream.Config())
    run = gpsnet.restore(flags.FLAGS.workdir or flags.FLAGS.weights, _CHECKPOINT.value)
    stream.print_stream(run, _CLIP.value, config, as_json=_JSON.value)


if __name__ == "__main__":
    config_flags.run(main)
