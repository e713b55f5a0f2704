"""What scripts say to their command lines, before they do anything."""

import pathlib
import sys

import pytest
from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import JOURNEYS
from gpsattn_jax.training.config import Machine
from tests import scripts


def refusal(script, *arguments):
    """What a script says to its command line before it does anything.

    Flags are parsed by the script's own definitions, and make its config; nothing is
    read, trained or written.

    Args:
        script: its name in experiments/.
        *arguments: of its command line.

    Returns:
        The error; "" if the flags are accepted.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scripts, "_run", _parse)
        _, _, err = scripts.run_script(script, *arguments)
    return err.strip()


def _parse(_, argv, flags_parser):
    flags_parser(argv)
    given = flags.FLAGS
    system = given.system if "system" in given else pathlib.Path(sys.argv[0]).stem
    trains = "setup" in given and ("mode" not in given or given.mode == "train")
    try:
        if system in JOURNEYS and trains:
            config_flags.override(JOURNEYS[system].face().SETUPS[given.setup])
        if "mesh" in given:
            config_flags.override(Machine())
    except ValueError as error:
        sys.exit(f"Error: {error}")
    sys.exit()
