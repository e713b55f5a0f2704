r"""A trained network as a StableHLO or ONNX file that runs without our code.

python experiments/export.py --source=runs/digits --output=digits.stablehlo
python experiments/export.py --source=weights.safetensors --output=model.stablehlo
python experiments/export.py --source=runs/utkinect --output=utkinect.stablehlo
python experiments/export.py --source=runs/digits --to=onnx --output=digits.onnx
python experiments/export.py --mode=check --source=runs/digits --output=digits.stablehlo
"""

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems import CHECKPOINTS, SYSTEMS, command_line, runs

_SYSTEM = flags.DEFINE_enum(
    "system", None, sorted(SYSTEMS), "Whose network it is; found in the source."
)
_MODE = flags.DEFINE_enum(
    "mode", "write", ["write", "check"], "Write and check, or check what is there."
)
_SOURCE = flags.DEFINE_string(
    "source", None, "A run's workdir, or a file of weights.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output", None, f"The file to write; {command_line.ARTEFACT}.stablehlo or .onnx."
)
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", None, CHECKPOINTS, "Of a run; its command's default."
)
_EMA = flags.DEFINE_bool("ema", False, "Of a run: with the averaged weights.")
OWN = sorted({name for row in SYSTEMS.values() for name in row.export_flags})
command_line.define_export_flags(OWN)


def main(_):
    """Writes, then compares in a fresh process; all of it is in `systems/`."""
    row = SYSTEMS[_SYSTEM.value or runs.find_system(_SOURCE.value)]
    own = {}
    for name in OWN:
        if name in row.export_flags:
            own[name] = flags.FLAGS[name].value
        elif flags.FLAGS[name].present:
            owners = [s for s, other in SYSTEMS.items() if name in other.export_flags]
            raise ValueError(f"--{name} is of {', '.join(owners)}.")
    row.face().export(
        _SOURCE.value,
        _OUTPUT.value or f"{command_line.ARTEFACT}.{flags.FLAGS.to}",
        _CHECKPOINT.value or row.checkpoint,
        **({"averaged": True} if _EMA.value else {}),
        **own,
        write=_MODE.value == "write",
        to=flags.FLAGS.to,
        platforms=flags.FLAGS.platforms,
        tolerance=flags.FLAGS.tolerance,
    )


if __name__ == "__main__":
    config_flags.run(main)
