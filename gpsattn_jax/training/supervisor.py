"""Several processes: beside each worker a parent, which turns its end into one line.

JAX's coordination service ends the processes that are left when one is lost: from C++,
by abort, with some eighty lines, and no callback of JAX 0.10 to 0.12 can prevent it. So
a command starts itself once more as the worker. The native libraries of the worker
write into a file that the parent reads if the worker is ended; Python's own lines go to
the terminal as ever.
"""

import atexit
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from gpsattn_jax.launch import LOG_LEVEL
from gpsattn_jax.training.config import Machine

_ENVIRONMENT = "GPSATTN_WORKER"  # of a worker: a file for messages, and a pipe's end
_LOST = 86  # exit status of a worker that another process has left alone
_PATIENCE = 10  # seconds beyond the heartbeats, for the service to say who is lost
_BROKEN = re.compile(
    r"\bGloo\b|\bNCCL|oordination ?[Ss]ervice|Connection (reset|closed) by peer"
)
_SILENT = re.compile(r"stopped sending heartbeats\):(.*?)The tasks", re.DOTALL)


def is_worker() -> bool:
    """Whether this process was started by `supervise`."""
    return _ENVIRONMENT in os.environ


def supervise(machine: Machine, resumption: Callable[[], str]) -> int:
    """Runs this command once more as a worker, and prints a line if it is ended.

    SIGINT and SIGTERM are passed on. If this process is killed, so is the worker.

    Args:
        machine: of the run.
        resumption: asked when a process is lost; ends the line: "the same command …".

    Returns:
        The worker's exit status; 1 if another process was lost or never came, 128 and
        the signal's number if this one was ended.
    """
    with tempfile.TemporaryDirectory(prefix="gpsattn-") as folder:
        messages = pathlib.Path(folder) / "messages"
        messages.touch()
        watched, held = os.pipe()
        known = {_ENVIRONMENT: f"{watched}:{messages}", LOG_LEVEL: "1"}
        worker = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env=os.environ | known,
            pass_fds=(watched,),
            process_group=0,  # the terminal's Ctrl-C comes through this process, once
        )
        os.close(watched)
        earlier = {
            number: signal.signal(number, lambda n, _: worker.send_signal(n))
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            status = worker.wait()
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            os.close(held)
        if 0 <= status != _LOST:
            return status
        text = messages.read_text(errors="replace")
    line, status = _verdict(text, status, machine)
    print(f"\nError: {line} {resumption()}", file=sys.stderr)
    return status


@contextlib.contextmanager
def working(machine: Machine) -> Iterator[None]:
    """Around a worker's work; it ends at once where waiting for others is in vain."""
    watched, messages = os.environ.pop(_ENVIRONMENT).split(":", 1)
    _redirect(messages)
    threading.Thread(target=_end_with, args=(int(watched),), daemon=True).start()
    try:
        yield
    except KeyboardInterrupt as stop:
        if not str(stop):  # not agreed with the others
            _leave_at_exit(130)
        raise
    except Exception as error:
        if _is_broken(error):
            if machine.distributed != "manual" or machine.num_processes != 2:
                # The service finds out who it was, and ends this process.
                time.sleep(machine.heartbeat_timeout + _PATIENCE)
            _leave(_LOST)
        _leave_at_exit(1)
        raise


def _redirect(messages):
    """Native libraries write into a file from here on, Python where it did before."""
    file = os.open(messages, os.O_WRONLY | os.O_APPEND)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        stream.flush()
        kept = os.dup(stream.fileno())
        os.dup2(file, stream.fileno())
        ours = open(  # noqa: SIM115
            kept, "w", buffering=1, encoding=stream.encoding, errors=stream.errors
        )
        setattr(sys, name, ours)
    os.close(file)


def _end_with(pipe):
    """Ends this process when the one that holds the other end of the pipe is gone."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _is_broken(error):
    """Whether an error, or one that caused it, is of the work with other processes."""
    while error is not None:
        if _BROKEN.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _leave_at_exit(status):
    """Without JAX's meeting of all processes, for which this one is early."""
    atexit.register(_leave, status)  # what is registered last comes first


def _leave(status):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _verdict(messages, status, machine):
    """(What became of a worker, the exit status) from what its libraries wrote."""
    silent = [int(n) for n in re.findall(r"\d+", "".join(_SILENT.findall(messages)))]
    if silent:
        seconds = f"{machine.heartbeat_timeout} s"
        why = f" (no sign of life for {seconds}, --heartbeat_timeout)"
        return f"{_name(sorted(set(silent)), machine)} lost{why};", 1
    if "CoordinationService/RegisterTask" in messages:
        return _missing(machine), 1
    if status == _LOST and machine.num_processes == 2:
        return f"{_name([1 - machine.process_id], machine)} lost;", 1
    if status == _LOST or "CoordinationService/" in messages:
        return f"{_name([0], machine)} lost (it kept the others together);", 1
    cause = signal.Signals(-status).name
    if status == -signal.SIGKILL:
        cause += ", as the system does where memory is short"
    words = [line for line in messages.splitlines() if re.match(r"F\d{4} ", line)]
    said = f": {words[-1][:300]}" if words else ""
    return f"this process was ended ({cause}){said};", 128 - status


def _name(numbers, machine):
    """Process 1 of 2 was; processes 1, 2 of 3 were."""
    of_all = f" of {machine.num_processes}" if machine.distributed == "manual" else ""
    several = len(numbers) > 1
    listed = ", ".join(map(str, numbers))
    return f"process{'es' * several} {listed}{of_all} {'were' if several else 'was'}"


def _missing(machine):
    """Who did not come, as far as this process can know."""
    where = f" at {machine.coordinator}" * (machine.distributed == "manual")
    others = [n for n in range(machine.num_processes) if n != machine.process_id]
    if machine.distributed != "manual":
        who = "not all processes were there"
    elif machine.process_id and not _answers(machine.coordinator):
        who = "process 0 was not there"
    elif machine.num_processes == 2:
        who = f"process {others[0]} of 2 was not there"
    else:
        listed = ", ".join(str(n) for n in others if n or not machine.process_id)
        who = f"one or more of processes {listed} were not there"
    return f"{who}{where} within {machine.meeting_timeout} s (--meeting_timeout);"


def _answers(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError:
        return False
    return True
