"""Scripts run in the tests' own process: seconds less than a process of their own."""

import contextlib
import io
import pathlib
import runpy
import sys

import pytest
from absl import app, flags

from gpsattn_jax import config_flags

ROOT = pathlib.Path(__file__).parents[1]


def run_script(script, *arguments):
    """Runs a script as `python script arguments…` does, but for signals.

    Args:
        script: its name in experiments/, or a path.
        *arguments: of its command line.

    Returns:
        (exit status, standard output, standard error).
    """
    path = str(ROOT / "experiments" / f"{script}.py")
    path = str(script) if isinstance(script, pathlib.Path) else path
    before = set(flags.FLAGS)
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [path, *map(str, arguments)])
        # Absl's own also sets up logging, for good; the other silences this process.
        patch.setattr(app, "run", _run)
        patch.setattr(config_flags, "_hush_libraries", lambda: None)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                runpy.run_path(path, run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        finally:
            for name in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, name)
            flags.FLAGS.unparse_flags()
    if isinstance(code, str):  # Python prints it, and leaves with 1
        code, text = 1, code
        err.write(f"{text}\n")
    return code, out.getvalue(), err.getvalue()


def _run(main, flags_parser):
    sys.exit(main(flags_parser(sys.argv)))
