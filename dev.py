#!/usr/bin/env python3
"""Install what a job needs into .venv, then run the job there.

python3 dev.py demo [ARGS]           experiments/demo.py, a first look
python3 dev.py test [--all] [ARGS]   pytest; --all adds slow tests and PyTorch parity
python3 dev.py lint                  ruff check, ruff format --check, mypy
python3 dev.py bench [ARGS]          benchmarks.run: the tables of RESULTS.md

It needs a Python of 3.11 or newer and nothing else. ARGS go on to the job, which runs
in this folder. The first run installs for a few minutes; the next ones start at once.
"""

# This file is read by whatever python3 there is: no syntax newer than Python 3.6.
import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "dev.json"  # what is installed; {} while an install is under way

EXTRAS = {
    "demo": {"data", "plot"},
    "test": {"data", "plot", "video", "test", "dev", "docs"},
    "lint": {"dev"},
    "bench": {"data", "plot", "torch", "video"},
}
COMMANDS = {
    "demo": [["experiments/demo.py"]],
    "test": [["-m", "pytest"]],
    "lint": [
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "mypy"],
    ],
    "bench": [["-m", "benchmarks.run"]],
}
TOO_OLD = """needs Python {}.{} or newer; this is {}.{}, and the PATH has no newer one.
Install one, then: python3.12 dev.py ..."""
NO_VENV = """this Python cannot make virtual environments (it has no ensurepip).
Any one of these helps; then run this again:
  apt install python3-venv     as root, on Debian and Ubuntu
  pip install virtualenv       for this Python
  uv                           on the PATH"""
NO_TORCH = """Without a CPU build of torch, whatever compares with PyTorch skips. Tell
pip where one is (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL), or use a Python that has one,
and run this again. The other builds bring gigabytes of accelerator libraries."""


def say(text):
    """Print to stderr: stdout belongs to the job."""
    print(text, file=sys.stderr, flush=True)


def stop(text):
    """Say why and end."""
    say("dev.py: " + text)
    sys.exit(1)


def use_newer_python(arguments):
    """Start again under a newer Python of the PATH; for a python3 that is too old."""
    for name in ("python3.12", "python3.13", "python3.11", "python3.14"):
        path = shutil.which(name)
        # It may be a version manager's stand-in for a Python that is not there.
        if path and subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(path, [path, str(ROOT / "dev.py")] + arguments)
    stop(TOO_OLD.format(*OLDEST, *sys.version_info))


def wanted_extras(job, arguments):
    """The extras of pyproject.toml that a job needs."""
    slow = job == "test" and "--all" in arguments
    return EXTRAS[job] | ({"torch"} if slow else set())


def state():
    """What the installed packages depend on, besides the extras."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return {"python": "{}.{}".format(*sys.version_info), "files": digest.hexdigest()}


def read_stamp():
    """The stamp as a dict; {} when an install was cut short, or there was none."""
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


def write_stamp(stamp):
    """Replace the stamp in one go."""
    part = STAMP.with_suffix(".part")
    part.write_text(json.dumps(stamp))
    part.replace(STAMP)


def covers(stamp, extras):
    """Whether the stamp says that the extras are installed, from today's files."""
    same = all(stamp.get(name) == value for name, value in state().items())
    return same and extras <= set(stamp["extras"]) and PYTHON.exists()


def venv_command():
    """The command that makes .venv, with pip in it."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return [base, "-m", "venv", str(VENV)]
    uv = shutil.which("uv")
    if uv:
        return [uv, "venv", "--seed", "--allow-existing", "--python", base, str(VENV)]
    if importlib.util.find_spec("virtualenv"):
        return [sys.executable, "-m", "virtualenv", str(VENV)]
    return stop(NO_VENV)


def pip_install():
    """The beginning of an install with .venv's own pip."""
    return [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]


def torch_command():
    """The command that installs torch itself, for the CPU.

    On Linux +cpu by name, as there the plain version means accelerators.
    """
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pin = next(line for line in lines if line.startswith("torch=="))
    build = pin + ("+cpu" if sys.platform == "linux" else "")
    return [*pip_install(), "--no-deps", build]


def install_commands(extras):
    """Commands that install the package, editable: uv's, and pip's if that fails.

    uv does not read how pip is set up: its certificates, its mirrors, its torch.
    """
    package = ".[{}]".format(",".join(sorted(extras)))
    what = ["-c", "constraints.txt", "-e", package]
    uv = shutil.which("uv")
    with_uv = [uv, "pip", "install", "--python", str(PYTHON), *what]
    with_pip = [*pip_install(), *what]
    return [with_uv, with_pip] if uv and "torch" not in extras else [with_pip]


@contextlib.contextmanager
def started(command, **options):
    """A child process in this folder that does not outlive its parent."""
    environment = dict(os.environ)
    environment.setdefault("PYTHONUNBUFFERED", "1")
    child = subprocess.Popen(command, cwd=str(ROOT), env=environment, **options)
    try:
        yield child
    except KeyboardInterrupt:
        # The terminal told the child, too: let it save, which a long step may delay. A
        # second Ctrl-C ends it now.
        child.wait()
        raise
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()


def run(command):
    """Run a job's command to its end; return its exit code."""
    with started(command) as child:
        code = child.wait()
    return code if code >= 0 else 128 - code


def run_installer(command):
    """Run a command that installs; return (exit code, the last lines it printed)."""
    lines, live = [], sys.stderr.isatty()
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
    with started(command, stderr=subprocess.STDOUT, **options) as child:
        for line in child.stdout:
            lines = [*lines[-19:], line.decode(errors="replace").rstrip()]
            if live:
                print("\r\033[K      " + lines[-1][:72], end="", file=sys.stderr)
                sys.stderr.flush()
        code = child.wait()
    print("\r\033[K" if live else "", end="", file=sys.stderr)
    return code, lines


def attempt(title, commands):
    """Run commands until one succeeds; return "", or what the last of them printed."""
    say(title)
    for command in commands:
        begin = time.monotonic()
        code, lines = run_installer(command)
        end = f"failed ({Path(command[0]).name})" if code else "done"
        say(f"      {end} after {time.monotonic() - begin:.0f} s")
        if code == 0:
            return ""
    return "\n".join("  | " + line for line in lines or ["(nothing)"])


@contextlib.contextmanager
def locked():
    """One install at a time; the lock goes when its process goes."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(ROOT / "dev.py") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another dev.py is installing; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield


def make_room():
    """An empty .venv but for the stamp, which marks it as dev.py's own."""
    if VENV.exists() and any(VENV.iterdir()) and not STAMP.exists():
        stop(f"did not make {VENV}. Move it out of the way and run this again.")
    VENV.mkdir(exist_ok=True)
    write_stamp({})
    for path in VENV.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != STAMP:
            path.unlink()


def install(extras):
    """Bring .venv up to date; what it had before stays."""
    before = read_stamp()
    keep = before.get("python") == state()["python"] and PYTHON.exists()
    wanted = extras | set(before["extras"] if keep else ())
    total = 1 + (not keep) + ("torch" in wanted)
    if not keep:
        command = venv_command()
        make_room()
        failure = attempt(f"[1/{total}] creating .venv", [command])
        if failure:
            stop(f"creating .venv failed:\n{failure}\nIt can be run again.")
    write_stamp({})
    if "torch" in wanted:
        failure = attempt(f"[{total - 1}/{total}] installing torch", [torch_command()])
        if failure:
            say(f"{failure}\n{NO_TORCH}")
            wanted = wanted - {"torch"}
    if not (keep and covers(before, wanted)):
        names = ", ".join(sorted(wanted))
        title = f"[{total}/{total}] installing {names} (a few minutes the first time)"
        failure = attempt(title, install_commands(wanted))
        if failure:
            if keep:  # installers fetch everything before they change anything
                write_stamp(before)
            stop(f"installing {names} failed:\n{failure}\nIt can be run again.")
    write_stamp({**state(), "extras": sorted(wanted)})


def prepare(extras):
    """Install the extras unless they are there."""
    if covers(read_stamp(), extras):
        return
    with locked():
        if not covers(read_stamp(), extras):
            try:
                install(extras)
            except OSError as error:
                stop(f"cannot install into {VENV}: {error}")


def main(arguments):
    """Run a job; return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if sys.version_info < OLDEST:
        use_newer_python(arguments)
    job, rest = arguments[0], arguments[1:]
    if job not in COMMANDS:
        stop("the job must be one of {}; got {!r}.".format(", ".join(COMMANDS), job))
    if job == "lint" and rest:
        stop(f"lint takes no arguments; got {' '.join(rest)}.")
    prepare(wanted_extras(job, rest))
    return max([run([str(PYTHON), *command, *rest]) for command in COMMANDS[job]])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\ndev.py: interrupted; it can be run again")
        sys.exit(130)
