r"""A trained network as a StableHLO file that runs without our code.

python experiments/export.py --source=runs/digits --output=digits.stablehlo
python experiments/export.py --source=weights.safetensors --output=model.stablehlo
python experiments/export.py --system=gpsnet --source=runs/utkinect \
    --output=utkinect.stablehlo
python experiments/export.py --mode=check --source=runs/digits --output=digits.stablehlo
"""

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import gsanet, transxnet
from gpsattn_jax.systems.export import check as export_check
from gpsattn_jax.systems.export import models as export
from gpsattn_jax.systems.gpsnet import export as gpsnet_export

CLASSIFIERS = {"gsanet": gsanet.SYSTEM, "transxnet": transxnet.SYSTEM}

_SYSTEM = flags.DEFINE_enum(
    "system", "gsanet", ["gpsnet", *sorted(CLASSIFIERS)], "Whose network it is."
)
_MODE = flags.DEFINE_enum(
    "mode", "write", ["write", "check"], "Write and check, or check what is there."
)
_SOURCE = flags.DEFINE_string(
    "source", None, "A run's workdir, or a file of weights.", required=True
)
_OUTPUT = flags.DEFINE_string("output", "model.stablehlo", "The file to write.")
_PLATFORMS = flags.DEFINE_list(
    "platforms", None, "cpu,cuda,rocm,tpu; by default the one that JAX uses here."
)
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "latest", ["latest", "best"], "Of a run.")
_EMA = flags.DEFINE_bool("ema", False, "Of a run: with the averaged weights.")
_SIZE = flags.DEFINE_integer(
    "size",
    None,
    "Of a file: pixels of a side; by default its own config's, else 224.",
    lower_bound=1,
)
_PERSONS = flags.DEFINE_integer(
    "persons", 1, "Of a GPS-Net's clip; absent ones are masked.", lower_bound=1
)
_TOLERANCE = flags.DEFINE_float(
    "tolerance", 1e-5, "Largest difference allowed; accelerators may need 1e-2."
)


def main(_):
    """Writes, then compares in a fresh process; all of it is in `systems/`."""
    model = _model(_SYSTEM.value, _SOURCE.value)
    path = _OUTPUT.value
    if _MODE.value == "write":
        export.export(model, path, platforms=_PLATFORMS.value)
    export_check.print_check(model, path, tolerance=_TOLERANCE.value)


def _model(system, source):
    if system == "gpsnet":
        if _EMA.value or _SIZE.value is not None:
            raise ValueError("--ema and --size are of image classifiers.")
        choose, persons = _CHECKPOINT.value, _PERSONS.value
        return gpsnet_export.open_model(source, choose, persons=persons)
    if _PERSONS.present:
        raise ValueError("--persons is of gpsnet.")
    return export.open_model(
        CLASSIFIERS[system],
        source,
        choose=_CHECKPOINT.value,
        averaged=_EMA.value,
        size=_SIZE.value,
    )


if __name__ == "__main__":
    config_flags.run(main)
