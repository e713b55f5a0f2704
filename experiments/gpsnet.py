r"""GPS-Net: train on clips of joints, evaluate, recognise new ones, report.

python experiments/gpsnet.py --setup=utkinect --workdir=runs/utkinect --data_dir=data
python experiments/gpsnet.py --setup=jhmdb14 --split=all --seeds=3 --stream=all \
    --workdir=runs/jhmdb --data_dir=data
python experiments/gpsnet.py --mode=evaluate --fuse=2,2,1,1 --workdir=runs/jhmdb \
    --data_dir=data
python experiments/gpsnet.py --setup=folder --data.path=clips --data.layout=coco17 \
    --workdir=runs/mine
python experiments/gpsnet.py --mode=predict --clip=wave.npy --workdir=runs/mine
python experiments/gpsnet.py --mode=report --workdir=runs/utkinect --data_dir=data

Recognition as a sequence comes in: experiments/recognize_stream.py.
"""

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.models.gpsnet import STREAMS
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gpsnet import tables

_SETUP = flags.DEFINE_enum(
    "setup", "utkinect", sorted(gpsnet.SETUPS), "Setup to start from, in training."
)
_MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate", "predict", "report"], "What to do."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "latest", ["latest", "best"], "Best is chosen on held-out clips."
)
_SPLIT = flags.DEFINE_string(
    "split", None, "train: a number, or all, each in a folder of its own."
)
_SEEDS = flags.DEFINE_integer("seeds", 1, "train: so many seeds, likewise.")
_STREAM = flags.DEFINE_enum(
    "stream", None, [*STREAMS, "all"], "train: what of the joints is seen, likewise."
)
_FUSE = config_flags.numbers(
    "fuse", "evaluate: weights of the streams; 2,2,1,1 by default."
)
_CLIP = flags.DEFINE_multi_string(
    "clip", None, "predict: a file or a folder of clips; may be repeated."
)
_OUTPUT = flags.DEFINE_string("output", None, "predict: a JSON; report: a folder.")
config_flags.define(gpsnet.Config)
config_flags.define(gpsnet.Machine)


def main(_):
    """Runs one mode; all that it does is in `systems/`."""
    workdir, machine = _WORKDIR.value, config_flags.override(gpsnet.Machine())
    where = {"data_dir": _DATA_DIR.value, "machine": machine}
    for name, flag, modes in (
        ("fuse", _FUSE, ("evaluate",)),
        ("clip", _CLIP, ("predict",)),
        ("output", _OUTPUT, ("predict", "report")),
    ):
        if flag.value is not None and _MODE.value not in modes:
            raise ValueError(f"--{name} is for --mode={' and '.join(modes)}.")
    if _MODE.value == "train":
        config = config_flags.override(gpsnet.SETUPS[_SETUP.value])
        which = {
            "split": _SPLIT.value,
            "seeds": _SEEDS.value,
            "stream": _STREAM.value,
        }
        tables.train_runs(config, workdir, **which, **where)
        return
    config_flags.refuse(gpsnet.Config, "the checkpoint's own settings are used.")
    if (_SPLIT.value, _SEEDS.value, _STREAM.value) != (None, 1, None):
        raise ValueError(
            "--split, --seeds and --stream are for --mode=train; name a workdir."
        )
    if _MODE.value == "evaluate":
        found = tables.print_evaluation(
            workdir, _CHECKPOINT.value, fuse=_FUSE.value, **where
        )
        tables.write_confusion(found, workdir)
    elif _MODE.value == "report":
        from gpsattn_jax.systems.gpsnet import (
            report as gpsnet_report,  # needs matplotlib
        )

        gpsnet_report.report(workdir, _OUTPUT.value, _CHECKPOINT.value, **where)
    elif _CLIP.value is None:
        raise ValueError("--mode=predict needs --clip: a file or a folder of clips.")
    else:
        recognizer = gpsnet.restore(workdir, _CHECKPOINT.value, machine=machine)
        tables.predict(recognizer, _CLIP.value, _OUTPUT.value)


if __name__ == "__main__":
    config_flags.run(main)
