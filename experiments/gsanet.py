"""GSA-Net: train, evaluate, predict.

python experiments/gsanet.py --setup=digits --workdir=runs/digits
python experiments/gsanet.py --mode=evaluate --workdir=runs/digits
python experiments/gsanet.py --mode=predict --workdir=runs/digits --images=my_pictures
"""

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import gsanet, gsanet_tables

_SETUP = flags.DEFINE_enum(
    "setup", "digits", sorted(gsanet.SETUPS), "Setup to start from, in training."
)
_MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate", "predict", "report"], "What to do."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Checkpoints and logs.", required=True)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "latest", ["latest", "best"], "Best is chosen on validation images."
)
_SEEDS = flags.DEFINE_integer("seeds", 0, "train: so many seeds; prints mean and sd.")
_IMAGES = flags.DEFINE_string("images", None, "predict: a folder, pattern or file.")
_OUTPUT = flags.DEFINE_string("output", None, "predict: a CSV; report: a folder.")
_INVERT = flags.DEFINE_bool("invert", False, "predict: swap dark and bright first.")
config_flags.define(gsanet.Config)


def main(_):
    """Runs one mode; all that it does is in `systems/gsanet.py`."""
    if _MODE.value == "train":
        config = config_flags.override(gsanet.SETUPS[_SETUP.value])
        if _SEEDS.value:
            gsanet_tables.print_repeats(config, _WORKDIR.value, _SEEDS.value)
        else:
            gsanet.train(config, _WORKDIR.value)
        return
    config_flags.refuse(gsanet.Config, "the checkpoint's own settings are used.")
    if _MODE.value == "evaluate":
        gsanet_tables.print_evaluation(_WORKDIR.value, _CHECKPOINT.value)
    elif _MODE.value == "report":
        from gpsattn_jax.systems import gsanet_report  # needs matplotlib

        gsanet_report.report(_WORKDIR.value, _OUTPUT.value, _CHECKPOINT.value)
    elif _IMAGES.value is None:
        raise ValueError(
            "--mode=predict needs --images: a folder, a pattern or a file."
        )
    else:
        gsanet_tables.print_predictions(
            _WORKDIR.value,
            _IMAGES.value,
            _OUTPUT.value,
            choose=_CHECKPOINT.value,
            invert=_INVERT.value,
        )


if __name__ == "__main__":
    config_flags.run(main)
