r"""PGL-SUM: train on annotated videos, evaluate, score new ones, report.

python experiments/pglsum.py --setup=summe_shots --split=all --seeds=3 \
    --workdir=runs/summe --data_dir=data
python experiments/pglsum.py --mode=evaluate --workdir=runs/summe --data_dir=data
python experiments/pglsum.py --mode=report --workdir=runs/summe/split-0/seed-0 \
    --data_dir=data
python experiments/pglsum.py --mode=predict --workdir=runs/summe/split-0/seed-0 \
    --features=mine.h5 --output=scores.json
python experiments/pglsum.py --mode=evaluate --init_from=official.pkl --setup=summe \
    --workdir=runs/official --data_dir=data

A video in, a summary out: experiments/summarize_video.py.
"""

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.pglsum import tables

_SETUP = flags.DEFINE_enum(
    "setup", "summe_shots", sorted(pglsum.SETUPS), "Setup to start from, in training."
)
_MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate", "predict", "report"], "What to do."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "best", ["latest", "best"], "Best is chosen on validation videos."
)
_SPLIT = flags.DEFINE_string(
    "split", None, "train: a number, or all, each in a folder of its own."
)
_SEEDS = flags.DEFINE_integer("seeds", 1, "train: so many seeds, likewise.")
_FEATURES = flags.DEFINE_string("features", None, "predict: an HDF5 file of videos.")
_OUTPUT = flags.DEFINE_string("output", None, "predict: a JSON; report: a folder.")
config_flags.define(pglsum.Config)
config_flags.define(pglsum.Machine)


def main(_):
    """Runs one mode; all that it does is in `systems/`."""
    workdir, machine = _WORKDIR.value, config_flags.override(pglsum.Machine())
    where = {"data_dir": _DATA_DIR.value, "machine": machine}
    if _MODE.value == "train":
        config = config_flags.override(pglsum.SETUPS[_SETUP.value])
        split, seeds = _SPLIT.value, _SEEDS.value
        tables.train_runs(config, workdir, split=split, seeds=seeds, **where)
        return
    if _MODE.value == "evaluate" and flags.FLAGS["init_from"].present:
        config = config_flags.override(pglsum.SETUPS[_SETUP.value])
        tables.print_weights(config, workdir, split=_SPLIT.value, **where)
        return
    config_flags.refuse(pglsum.Config, "the checkpoint's own settings are used.")
    if _SPLIT.value is not None or _SEEDS.value != 1:
        raise ValueError("--split and --seeds are for --mode=train; name a workdir.")
    if _MODE.value == "evaluate":
        tables.print_evaluation(workdir, _CHECKPOINT.value, **where)
    elif _MODE.value == "report":
        from gpsattn_jax.systems.pglsum import (
            report as pglsum_report,  # needs matplotlib
        )

        pglsum_report.report(workdir, _OUTPUT.value, _CHECKPOINT.value, **where)
    elif _FEATURES.value is None:
        raise ValueError("--mode=predict needs --features: an HDF5 file of videos.")
    else:
        tables.predict(
            pglsum.restore(workdir, _CHECKPOINT.value, machine=machine),
            _FEATURES.value,
            _OUTPUT.value,
        )


if __name__ == "__main__":
    config_flags.run(main)
