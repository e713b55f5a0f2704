"""Commands in processes of their own, whose lines a test reads while they run."""

import functools
import os
import pathlib
import subprocess
import sys

import jax

ROOT = pathlib.Path(__file__).parents[1]


@functools.cache
def old_emitters():
    """XLA's option for its old emitters of CPU code; {} where it has new ones alone."""
    option = {"xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda: 0, compiler_options=option).lower().compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return option


def hurried_environment():
    """Variables of processes that compile in a hurry, most of their time otherwise."""
    flags = [f"--{name}={int(value)}" for name, value in old_emitters().items()]
    return {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
        "XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip(),
    }


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
