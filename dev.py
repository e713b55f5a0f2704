#!/usr/bin/env python3
"""Install what a job needs into .venv, then run the job there.

python3 dev.py demo [ARGS]           experiments/demo.py, a first look
python3 dev.py test [--all] [ARGS]   pytest; --all adds slow tests and PyTorch parity
python3 dev.py test-newest [ARGS]    a part of the tests on Python 3.12 or newer with
                                     the newest JAX, in .venv-newest
python3 dev.py lint                  ruff check, ruff format --check, mypy
python3 dev.py install JOB [--all]   what that job needs, and not the job
python3 dev.py bench [ARGS]          benchmarks.run: the tables of RESULTS.md; with
                                     --accelerator one run on the card at hand
python3 dev.py docs                  the docs site into site/; a warning is an error

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
NEWEST = (3, 12)  # the oldest Python for which the newest JAX is released
ROOT = Path(__file__).resolve().parent

EXTRAS = {
    "demo": {"data", "plot"},
    "test": {"data", "plot", "video", "onnx", "tensorboard", "test", "dev", "docs"},
    "test-newest": {"data", "plot", "video", "onnx", "tensorboard", "test"},
    "lint": {"dev"},
    "bench": {"data", "plot", "torch", "video"},
    "docs": {"data", "plot", "video", "docs"},
}
NVIDIA = "/dev/nvidia0"  # where it is, the run on an accelerator needs JAX's plugin
# A later -n in ARGS takes the place of this one; -n 0 runs all in one process.
PYTEST = ["-m", "pytest", "-n", "2", "--dist", "worksteal"]
COMMANDS = {
    "demo": [["experiments/demo.py"]],
    "test": [PYTEST],
    "test-newest": [[*PYTEST, "--newest"]],
    "lint": [
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "mypy"],
    ],
    "bench": [["-m", "benchmarks.run"]],
    "docs": [["-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet",
              "--conf-dir", "docs", ".", "site"]],
}  # fmt: skip
# Defaults of Flax that are announced: tested before they come.
FLAX_TO_COME = {"NNX_GRAPH_MODE": "false", "NNX_GRAPH_UPDATES": "false"}
TOO_OLD = """needs Python {}.{} or newer; this is {}.{}, and neither the
PATH nor pyenv nor uv has such a one. Install one, then: python3.12 dev.py ..."""
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


def candidates():
    """Paths of Pythons that may be new enough: of the PATH, of pyenv, of uv."""
    numbers = ("3.12", "3.13", "3.11", "3.14")
    yield from filter(None, (shutil.which("python" + number) for number in numbers))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for number in numbers:
        yield from map(str, sorted(pyenv.glob(f"versions/{number}*/bin/python")))
    uv = shutil.which("uv")
    if uv:
        find = [uv, "python", "find", "3.12"]
        found = subprocess.run(
            find, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        yield from found.stdout.decode().split("\n")[:1]


def newer_python(oldest):
    """The path of a Python at least that new which runs; None without one."""
    code = f"import sys; sys.exit(sys.version_info < {oldest})"
    for path in candidates():
        # It may be a version manager's stand-in for a Python that is not there.
        with contextlib.suppress(OSError):
            if subprocess.call([path, "-c", code], stderr=subprocess.DEVNULL) == 0:
                return path
    return None


def use_newer_python(job, arguments):
    """Start again under a newer Python where this one is too old for the job."""
    oldest = NEWEST if job == "test-newest" else OLDEST
    if sys.version_info >= oldest:
        return
    path = newer_python(oldest)
    if path:
        os.execv(path, [path, str(ROOT / "dev.py"), *arguments])
    reason = TOO_OLD.format(*oldest, *sys.version_info)
    if job != "test-newest":
        stop(f"{job} {reason}")
    say(f"dev.py: {job} did not run: it {reason}")
    in_ci = os.environ.get("CI", "").lower() in ("1", "true")
    sys.exit(int(in_ci))


def wanted_extras(job, arguments):
    """The extras of pyproject.toml that a job needs."""
    slow = job == "test" and "--all" in arguments
    on_card = job == "bench" and "--accelerator" in arguments
    card = {"cuda13"} if on_card and os.path.exists(NVIDIA) else set()
    return EXTRAS[job] | ({"torch"} if slow else set()) | card


def state():
    """What the installed packages depend on, besides the extras."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return {"python": "{}.{}".format(*sys.version_info), "files": digest.hexdigest()}


class Venv:
    """A virtual environment of ours and the stamp that says what is in it."""

    def __init__(self, name):
        self.folder = ROOT / name
        inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        self.python = str(self.folder / inside)
        self.stamp = self.folder / "dev.json"  # {} while an install is under way

    def read_stamp(self):
        """The stamp as a dict; {} when an install was cut short, or there was none."""
        try:
            return json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}

    def write_stamp(self, stamp):
        """Replace the stamp in one go."""
        part = self.stamp.with_suffix(".part")
        part.write_text(json.dumps(stamp))
        part.replace(self.stamp)

    def covers(self, stamp, extras):
        """Whether the stamp says that the extras are installed, from today's files."""
        same = all(stamp.get(name) == value for name, value in state().items())
        return same and extras <= set(stamp["extras"]) and os.path.exists(self.python)

    def variables(self):
        """A job's environment variables: where Python keeps what it has compiled.

        It compiles what is imported, once for all processes. Here it may write even
        where PYTHONDONTWRITEBYTECODE keeps other folders clean.
        """
        folder = str(self.folder / "pycache")
        return {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}

    def make_room(self):
        """An empty folder but for the stamp, which marks it as dev.py's own."""
        folder = self.folder
        if folder.exists() and any(folder.iterdir()) and not self.stamp.exists():
            stop(f"did not make {folder}. Move it out of the way and run this again.")
        folder.mkdir(exist_ok=True)
        self.write_stamp({})
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != self.stamp:
                path.unlink()


def venv_command(folder):
    """The command that makes an environment of this Python, with pip in it."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        return [base, "-m", "venv", str(folder)]
    uv = shutil.which("uv")
    if uv:
        options = ["--seed", "--allow-existing", "--python", base]
        return [uv, "venv", *options, str(folder)]
    if importlib.util.find_spec("virtualenv"):
        return [sys.executable, "-m", "virtualenv", str(folder)]
    return stop(NO_VENV)


def pip_install(python):
    """The beginning of an install with the environment's own pip.

    It compiles nothing, which was half of its time: see `Venv.variables`.
    """
    options = ["--disable-pip-version-check", "--no-compile"]
    return [python, "-m", "pip", "install", *options]


def torch_command(python):
    """The command that installs torch itself, for the CPU.

    On Linux +cpu by name, as there the plain version means accelerators.
    """
    build = pinned("torch") + ("+cpu" if sys.platform == "linux" else "")
    return [*pip_install(python), "--no-deps", build]


def converter_command(python):
    """The command that installs jax2onnx alone, since it asks for an older Orbax."""
    return [*pip_install(python), "--no-deps", pinned("jax2onnx")]


def pinned(name):
    """A package and its version in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}=="))


def install_commands(python, extras):
    """Commands that install the package, editable: uv's, and pip's if that fails.

    uv does not read how pip is set up: its certificates, its mirrors, its torch.
    """
    package = ".[{}]".format(",".join(sorted(extras)))
    what = ["-c", "constraints.txt", "-e", package]
    uv = shutil.which("uv")
    with_uv = [uv, "pip", "install", "--python", python, *what]
    with_pip = [*pip_install(python), *what]
    return [with_uv, with_pip] if uv and "torch" not in extras else [with_pip]


@contextlib.contextmanager
def started(command, variables=None, **options):
    """A child process in this folder that does not outlive its parent."""
    environment = {"PYTHONUNBUFFERED": "1", **os.environ, **(variables or {})}
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


def run(command, variables=None):
    """Run a job's command to its end; return its exit code."""
    with started(command, variables) as child:
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
def locked(folder):
    """One install at a time into a folder; the lock goes when its process goes."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    folder.mkdir(exist_ok=True)
    lock = os.open(str(folder), os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another dev.py is installing into {folder.name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(lock)


def install(venv, extras):
    """Bring the environment up to date; what it had before stays."""
    before, name = venv.read_stamp(), venv.folder.name
    same = before.get("python") == state()["python"]
    keep = same and os.path.exists(venv.python)
    wanted = extras | set(before["extras"] if keep else ())
    total = 1 + (not keep) + ("torch" in wanted)
    if not keep:
        command = venv_command(venv.folder)
        venv.make_room()
        failure = attempt(f"[1/{total}] creating {name}", [command])
        if failure:
            stop(f"creating {name} failed:\n{failure}\nIt can be run again.")
    venv.write_stamp({})
    if "torch" in wanted:
        title = f"[{total - 1}/{total}] installing torch"
        failure = attempt(title, [torch_command(venv.python)])
        if failure:
            say(f"{failure}\n{NO_TORCH}")
            wanted = wanted - {"torch"}
    if not (keep and venv.covers(before, wanted)):
        names = ", ".join(sorted(wanted))
        title = f"[{total}/{total}] installing {names} (a few minutes the first time)"
        failure = attempt(title, install_commands(venv.python, wanted))
        if failure:
            if keep:  # installers fetch everything before they change anything
                venv.write_stamp(before)
            stop(f"installing {names} failed:\n{failure}\nIt can be run again.")
        if "onnx" in wanted:
            failure = attempt("installing jax2onnx", [converter_command(venv.python)])
            if failure:
                stop(f"installing jax2onnx failed:\n{failure}\nIt can be run again.")
    venv.write_stamp({**state(), "extras": sorted(wanted)})


def prepare(venv, extras):
    """Install the extras unless they are there."""
    if venv.covers(venv.read_stamp(), extras):
        return
    try:
        with locked(venv.folder):
            if not venv.covers(venv.read_stamp(), extras):
                install(venv, extras)
    except OSError as error:
        stop(f"cannot install into {venv.folder}: {error}")


def main(arguments):
    """Run a job; return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    only_install = arguments[0] == "install"
    job, *rest = arguments[only_install:] or [""]
    if job not in COMMANDS:
        stop("the job must be one of {}; got {!r}.".format(", ".join(COMMANDS), job))
    if job == "lint" and rest:
        stop(f"lint takes no arguments; got {' '.join(rest)}.")
    use_newer_python(job, arguments)
    newest = job == "test-newest"
    venv = Venv(".venv-newest" if newest else ".venv")
    prepare(venv, wanted_extras(job, rest))
    variables = {**venv.variables(), **(FLAX_TO_COME if newest else {})}
    commands = [] if only_install else COMMANDS[job]
    commands = [[venv.python, *command, *rest] for command in commands]
    return max([0, *(run(command, variables) for command in commands)])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\ndev.py: interrupted; it can be run again")
        sys.exit(130)
