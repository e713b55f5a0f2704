"""What `gpsattn WORD` does: a row for each word, which the scripts run, too.

A command is imported when it is asked for: `gpsattn --help` waits for no library.
"""

import dataclasses
import functools
import importlib
from collections.abc import Callable, Sequence

from gpsattn_jax import extras, launch
from gpsattn_jax.systems import JOURNEYS

__all__ = ["COMMANDS", "Command", "run"]

Run = Callable[[Sequence[str]], None]


@dataclasses.dataclass(frozen=True)
class Command:
    """A row of the table.

    Attributes:
        about: what it does, in one line.
        load: imports the command and returns its `run`, which takes the program, as
            typed, and its arguments.
        computes: whether it works long enough for another allocator to pay.
    """

    about: str
    load: Callable[[], Run]
    computes: bool = True


def run(word: str, argv: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process with its exit status.

    Args:
        word: a key of `COMMANDS`.
        argv: the program, as typed, and its arguments; those of Python by default.

    Raises:
        SystemExit: always.
    """
    command = COMMANDS[word]
    if command.computes:
        launch.preload_allocator()  # before the imports that take their time
    try:
        start = command.load()
    except ModuleNotFoundError as error:
        raise SystemExit(f"Error: {extras.explain(error)}") from error
    start(launch.typed_command() if argv is None else argv)


def _system(name):
    from gpsattn_jax.systems import command_line

    return functools.partial(command_line.run, JOURNEYS[name])


def _run_of(module):
    return importlib.import_module(f"gpsattn_jax.{module}").run


def _row(about, module, computes=True):
    return Command(about, functools.partial(_run_of, module), computes)


COMMANDS = {
    **{
        name: Command(row.about, functools.partial(_system, name))
        for name, row in JOURNEYS.items()
    },
    "demo": _row("train on handwritten digits, in a minute or two", "commands.demo"),
    "summarize-video": _row("a video in, its summary out", "commands.summarize_video"),
    "extract-features": _row(
        "a folder of videos to features", "commands.extract_features"
    ),
    "recognize": _row(
        "actions in a sequence of joints, as it comes", "commands.recognize"
    ),
    "export": _row("a network as a file that runs without our code", "commands.export"),
    "convert": _row(
        "weights from and to PyTorch; a run as one file", "commands.convert"
    ),
    "plan": _row(
        "memory and time of a run on devices not there",
        "systems.planning.command",
        computes=False,
    ),
    "info": _row(
        "a network's parameters, operations, shapes", "commands.info", computes=False
    ),
    "pretrained": _row(
        "the networks that come with the package", "commands.pretrained", computes=False
    ),
    "show-augmentations": _row(
        "what training does to images", "commands.show_augmentations"
    ),
}
