"""Commands in processes of their own, whose lines a test reads while they run."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def start(*command, **environment):
    """Starts Python with these arguments in the project's folder.

    Args:
        *command: what stands behind `python`.
        **environment: variables of its own.
    """
    known = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | known | environment,
    )


def wait_for(process, text):
    """Reads a process's lines up to one with this text."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came.")
