"""Weights from elsewhere as a file of ours, and ours as PyTorch's."""

import os
from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.convert import rewrite
from gpsattn_jax.systems import CHECKPOINTS, JOURNEYS, named_networks, run_files, runs
from gpsattn_jax.usage import Usage

OF_FILES = ("num_classes", "image_size", "features_only", "fusion", "position")
USAGE = Usage(
    text="""\
Weights from elsewhere as a file of ours, and ours as PyTorch's.

  PROGRAM transx-t.pth.tar tiny.safetensors
  PROGRAM tiny.safetensors tiny.pth --to=torch
  PROGRAM runs/nette n.pth --to=torch
  PROGRAM runs/utkinect utkinect.safetensors
  PROGRAM summe.pth summe.safetensors --fusion=add --position=absolute""",
    words=("source", "output"),
    main=("to", "system", "checkpoint", "ema", *OF_FILES),
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
    flags.DEFINE_string(
        "source", None, "A file of weights, or a run's workdir.", required=True
    )
    flags.DEFINE_string(
        "output",
        None,
        "The file to write: .safetensors; for torch also .pth, .pt, .tar, .npz.",
        required=True,
    )
    flags.DEFINE_enum(
        "to", "ours", rewrite.FORMS, "Our file, or names and shapes of the original."
    )
    flags.DEFINE_enum("checkpoint", "latest", CHECKPOINTS, "Of a run.")
    flags.DEFINE_bool("ema", False, "Of a run: the averaged weights.")
    flags.DEFINE_integer(
        "num_classes", None, "Of a file: another head, which starts new."
    )
    flags.DEFINE_integer(
        "image_size", None, "Of a file: resizes the tables of positions."
    )
    flags.DEFINE_bool(
        "features_only", None, "Of a file: maps of all stages, no classes."
    )
    flags.DEFINE_string(
        "fusion", None, "Of a file of PGL-SUM, whose shapes do not say."
    )
    flags.DEFINE_string("position", None, "Likewise.")


def _main(given):
    """Reads, prints what it found, writes; all of it is in `convert/rewrite.py`."""
    options = {name: given[name].value for name in OF_FILES}
    options = {name: value for name, value in options.items() if value is not None}
    source, output = given.source, given.output
    if not os.path.isdir(source):
        if given["checkpoint"].present or given["ema"].present:
            raise ValueError(
                f"{source} is no workdir: --checkpoint, --ema are of runs."
            )
        system = given.system or runs.find_system(source)
        path = named_networks.find(source)
        rewrite.rewrite(system, path, output, to=given.to, **options)
        return
    if options:
        raise ValueError(f"{source} is a run: --{', --'.join(options)} are for files.")
    system = given.system or runs.find_system(source)
    averaged = {"averaged": True} if given.ema else {}
    trained = JOURNEYS[system].face().restore(source, given.checkpoint, **averaged)
    model = trained.config.model
    found = rewrite.describe(system, model, trained.params)
    print(f"{source}, step {trained.step}: {found}")
    if given.to == "ours":  # with the run's settings: it can stand for the workdir
        run_files.write_run(output, system, trained)
        print(f"Written to {output}.")
    else:
        rewrite.write(system, output, model, trained.params, trained.state, to=given.to)
