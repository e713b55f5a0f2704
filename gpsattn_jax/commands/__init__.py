"""What `gpsattn WORD` does: a row for each word, which the scripts run, too.

A command is imported when it is asked for: `gpsattn --help` waits for no library.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from gpsattn_jax import launch
from gpsattn_jax.extras import missing_library
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
        raise SystemExit(f"Error: {missing_library(error)}") from error
    start(launch.typed_command() if argv is None else argv)


def _system(name):
    from gpsattn_jax.systems import command_line

    return functools.partial(command_line.run, JOURNEYS[name])


def _summarize_video():
    from gpsattn_jax.commands import summarize_video

    return summarize_video.run


def _extract_features():
    from gpsattn_jax.commands import extract_features

    return extract_features.run


def _recognize():
    from gpsattn_jax.commands import recognize

    return recognize.run


def _export():
    from gpsattn_jax.commands import export

    return export.run


def _convert():
    from gpsattn_jax.commands import convert

    return convert.run


def _plan():
    from gpsattn_jax.systems.planning import command

    return command.run


def _info():
    from gpsattn_jax.commands import info

    return info.run


def _pretrained():
    from gpsattn_jax.commands import pretrained

    return pretrained.run


def _show_augmentations():
    from gpsattn_jax.commands import show_augmentations

    return show_augmentations.run


def _demo():
    from gpsattn_jax.commands import demo

    return demo.run


COMMANDS = {
    **{
        name: Command(row.about, functools.partial(_system, name))
        for name, row in JOURNEYS.items()
    },
    "demo": Command("train on handwritten digits, in a minute or two", _demo),
    "summarize-video": Command("a video in, its summary out", _summarize_video),
    "extract-features": Command("a folder of videos to features", _extract_features),
    "recognize": Command("actions in a sequence of joints, as it comes", _recognize),
    "export": Command("a network as a file that runs without our code", _export),
    "convert": Command("weights from and to PyTorch; a run as one file", _convert),
    "plan": Command("memory and time of a run on devices not there", _plan, False),
    "info": Command("a network's parameters, operations, shapes", _info, False),
    "pretrained": Command(
        "the networks that come with the package", _pretrained, False
    ),
    "show-augmentations": Command("what training does to images", _show_augmentations),
}
