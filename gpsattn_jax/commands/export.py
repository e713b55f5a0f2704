"""A trained network as a StableHLO or ONNX file that runs without our code."""

from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import CHECKPOINTS, JOURNEYS, command_line, runs
from gpsattn_jax.usage import Usage

OWN = sorted({name for row in JOURNEYS.values() for name in row.export_flags})
USAGE = Usage(
    text="""\
A trained network as a StableHLO or ONNX file that runs without our code.

  PROGRAM runs/digits digits.stablehlo
  PROGRAM weights.safetensors model.stablehlo
  PROGRAM runs/digits digits.onnx --to=onnx
  PROGRAM runs/digits digits.stablehlo --mode=check""",
    words=("source", "output"),
    main=("mode", "to", "system", "checkpoint", "ema", "platforms", "tolerance", *OWN),
)


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    _define_flags()
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _define_flags():
    flags.DEFINE_enum(
        "system", None, sorted(JOURNEYS), "Whose network it is; found in the source."
    )
    flags.DEFINE_enum(
        "mode", "write", ["write", "check"], "Write and check, or check what is there."
    )
    flags.DEFINE_string(
        "source", None, "A run's workdir, or a file of weights.", required=True
    )
    flags.DEFINE_string(
        "output",
        None,
        f"The file to write; {command_line.ARTEFACT}.stablehlo or .onnx.",
    )
    flags.DEFINE_enum(
        "checkpoint", None, CHECKPOINTS, "Of a run; its command's default."
    )
    flags.DEFINE_bool("ema", False, "Of a run: with the averaged weights.")
    command_line.define_export_flags(OWN)


def _main(given):
    """Writes, then compares in a fresh process; all of it is in `systems/`."""
    row = JOURNEYS[given.system or runs.find_system(given.source)]
    own = {}
    for name in OWN:
        if name in row.export_flags:
            own[name] = given[name].value
        elif given[name].present:
            owners = [s for s, other in JOURNEYS.items() if name in other.export_flags]
            raise ValueError(f"--{name} is of {', '.join(owners)}.")
    row.face().export(
        given.source,
        given.output or f"{command_line.ARTEFACT}.{given.to}",
        given.checkpoint or row.checkpoint,
        **({"averaged": True} if given.ema else {}),
        **own,
        write=given.mode == "write",
        to=given.to,
        platforms=given.platforms,
        tolerance=given.tolerance,
    )
