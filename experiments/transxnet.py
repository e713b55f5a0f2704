"""TransXNet: train, fine-tune, evaluate, predict, report.

python experiments/transxnet.py --setup=imagenette --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=evaluate --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=predict --workdir=runs/nette --images=my_pictures
"""

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import transxnet
from gpsattn_jax.systems.image_classifier import tables

_SETUP = flags.DEFINE_enum(
    "setup", "imagenette", sorted(transxnet.SETUPS), "Setup to start from, in training."
)
_MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate", "predict", "report"], "What to do."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs.", required=True)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "latest", ["latest", "best"], "Best is chosen on validation images."
)
_EMA = flags.DEFINE_bool("ema", False, "predict, report: with the averaged weights.")
_SEEDS = flags.DEFINE_integer("seeds", 0, "train: so many seeds; prints mean and sd.")
_IMAGES = flags.DEFINE_string("images", None, "predict: a folder, pattern or file.")
_OUTPUT = flags.DEFINE_string("output", None, "predict: a CSV; report: a folder.")
config_flags.define(transxnet.Config)
config_flags.define(transxnet.Machine)


def main(_):
    """Runs one mode; all that it does is in `systems/`."""
    workdir, machine = _WORKDIR.value, config_flags.override(transxnet.Machine())
    where = {"data_dir": _DATA_DIR.value, "machine": machine}
    if _MODE.value == "train":
        config = config_flags.override(transxnet.SETUPS[_SETUP.value])
        if _SEEDS.value:
            system, name = transxnet.SYSTEM, transxnet.network_name
            tables.print_repeats(system, config, workdir, _SEEDS.value, name, **where)
        else:
            transxnet.train(config, workdir, **where)
        return
    config_flags.refuse(transxnet.Config, "the checkpoint's own settings are used.")
    if _MODE.value == "evaluate":
        transxnet.print_evaluation(workdir, _CHECKPOINT.value, **where)
    elif _MODE.value == "report":
        from gpsattn_jax.systems.transxnet import (
            report as transxnet_report,  # needs matplotlib
        )

        transxnet_report.report(
            workdir,
            _OUTPUT.value,
            _CHECKPOINT.value,
            averaged=_EMA.value,
            data_dir=_DATA_DIR.value,
        )
    elif _IMAGES.value is None:
        raise ValueError(
            "--mode=predict needs --images: a folder, a pattern or a file."
        )
    else:
        classifier = transxnet.restore(
            workdir, _CHECKPOINT.value, averaged=_EMA.value, machine=machine
        )
        found = tables.predict(classifier, _IMAGES.value, _OUTPUT.value)
        tables.print_predictions(found, _OUTPUT.value)


if __name__ == "__main__":
    config_flags.run(main)
