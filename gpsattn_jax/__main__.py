"""The command `gpsattn`, and `python -m gpsattn_jax`: the first word chooses."""

import difflib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence

import gpsattn_jax
from gpsattn_jax import commands

HEAD = """Usage: gpsattn COMMAND [ARGUMENTS]

Four attention networks in JAX: train, evaluate, predict, report, export.
"""
TAIL = """
gpsattn COMMAND --help      its main flags and examples
gpsattn COMMAND --helpfull  all of its flags
gpsattn --version           versions, for a report of a bug"""


def main(argv: Sequence[str] | None = None) -> None:
    """Does what the first word says, and ends the process.

    Args:
        argv: the program and its arguments; those of Python by default.

    Raises:
        SystemExit: always.
    """
    program, *arguments = sys.argv if argv is None else argv
    first = arguments[0] if arguments else ""
    if first in ("", "-h", "--help", "help"):
        print(_overview())
        raise SystemExit(0 if first else 2)
    if first == "--version":
        print(_versions())
        raise SystemExit(0)
    word = first.replace("_", "-")
    if word not in commands.COMMANDS:
        raise SystemExit(_unknown(first))
    commands.run(word, [f"{_name(program)} {word}", *arguments[1:]])


def _overview():
    rows = [
        f"  {word:<20}{command.about}" for word, command in commands.COMMANDS.items()
    ]
    return "\n".join([HEAD, *rows, TAIL])


def _versions():
    libraries = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    found = [f"{name} {importlib.metadata.version(name)}" for name in libraries]
    python = f"Python {platform.python_version()}"
    return f"gpsattn {gpsattn_jax.__version__} ({', '.join([python, *found])})"


def _unknown(word):
    near = difflib.get_close_matches(word, commands.COMMANDS, 1, 0.4)
    offer = f" Did you mean {near[0]}?" if near else ""
    return f"Error: gpsattn has no command {word!r}.{offer} gpsattn --help lists them."


def _name(program):
    """The program as typed: `gpsattn`, or Python and this module."""
    name = os.path.basename(program)
    return "python -m gpsattn_jax" if name == "__main__.py" else name


if __name__ == "__main__":
    main()
