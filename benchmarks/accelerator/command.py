"""`--accelerator` of benchmarks.run: what it checks, prints and returns."""

import os
import pathlib
import tempfile

from absl import logging

from benchmarks.accelerator.rows import rows
from gpsattn_jax import interrupts


def run(folder: str | None, *, tiny: bool, minutes: float, fresh: bool) -> int:
    """The whole run.

    Args:
        folder: of the results; `benchmarks/cards` by default.
        tiny: a trial on small shapes, on a CPU as well.
        minutes: after which no row is begun.
        fresh: measure all rows again.

    Returns:
        The exit status: 1 without an accelerator, where the results cannot be kept, or
        if parity is beyond its limit; 130 after Ctrl-C.
    """
    # JAX would take three quarters of the card, and PyTorch needs some of it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    logging.set_verbosity(logging.WARNING)  # JAX tells which devices it did not find
    import jax

    from benchmarks.accelerator import card, session

    reason = card.lacking(cpu_will_do=tiny)
    if reason:
        session.say(f"No run: {reason}")
        return 1
    where = pathlib.Path(folder) if folder else session.FOLDER
    with tempfile.TemporaryDirectory() as programs:
        # Each program is compiled once, and the first time of it is a first time.
        jax.config.update("jax_compilation_cache_dir", programs)
        current = session.Session(list(rows(tiny)), session.path_of(where, tiny), tiny)
        stopped = False
        try:
            with interrupts.interruptible("Stopped; the same command goes on."):
                current.resume(fresh)
                current.run(minutes)
        except KeyboardInterrupt:
            stopped = True
        except (OSError, ValueError) as error:  # of the results' file
            session.say(f"No run: {error}")
            return 1
    text, whole = current.summary()
    if stopped:
        session.say(f"Stopped: {text}. The same command goes on where it was.")
        # All is written. XLA's threads may be in the middle of what was broken off, and
        # Python's own end has crashed on them.
        os._exit(130)
    session.say(f"{text}. The table: {current.path.with_suffix('.md')}")
    print(current.path.with_suffix(".md").read_text())
    return 0 if whole else 1
