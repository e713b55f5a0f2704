"""What a script sets up before JAX starts: its allocator, its cache of programs.

Importing the library changes nothing; scripts and `config_flags.run` call these.
"""

import ctypes.util
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import sys
from collections.abc import Mapping

from gpsattn_jax.files import cache_folder

ALLOCATORS = {"jemalloc": ("jemalloc",), "tcmalloc": ("tcmalloc_minimal", "tcmalloc")}
PACKAGES = {
    "jemalloc": "libjemalloc2",
    "tcmalloc": "libtcmalloc-minimal4",
    "glibc": "libc6",
}
CHOICES = ("auto", *ALLOCATORS, "glibc", "none")
# Freed pages are kept: given back, each call's temporaries would fault them in again.
JEMALLOC = "thp:always,dirty_decay_ms:-1,muzzy_decay_ms:-1,oversize_threshold:0"
# The same of glibc takes all of these: big arrays from the heap, the one that grows
# without bounds, which never shrinks; and huge pages.
GLIBC = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {
        "mmap_max": 0,
        "arena_max": 1,
        "trim_threshold": 1 << 46,
        "hugetlb": 1,
    }.items()
)
STARTED = "GPSATTN_ALLOCATOR_STARTED"  # set in the script that was started again
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
JOINING = "--xla_cpu_experimental_ynn_fusion_type"
DEVICES = ("/dev/nvidia0", "/dev/kfd", "/dev/accel0", "/dev/vfio/0")


def is_whole_process() -> bool:
    """Whether Python was started for this script: no other program runs it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)  # with python -m
    return sys.argv[0] in (*sys.orig_argv, getattr(module, "origin", None))


def typed_command() -> list[str]:
    """The program as it was typed, of a script, and its arguments."""
    return [f"python {sys.argv[0]}", *sys.argv[1:]]


def hush_xla() -> None:
    """Leaves XLA's own logs out, unless `TF_CPP_MIN_LOG_LEVEL` says otherwise.

    For each kept program it complains at length that the processor lacks features which
    are preferences of the compiler (jax-ml/jax issue 38445). What ends a process is
    still said. It counts only before JAX is imported.
    """
    os.environ.setdefault(LOG_LEVEL, "3")


def avoid_wrong_sums() -> None:
    """Has the XLA of JAX 0.10 take no sum together with the product it follows on.

    On CPUs what it makes of both is wrong, by up to nine tenths, for sums over axes in
    the middle of 2,048 numbers or more: `(x @ w).reshape(4, 49, 512).sum(1)`. The
    networks here have something between both; what users add need not. JAX 0.11 is
    right. Another choice of that flag in `XLA_FLAGS` stays. It counts only before JAX
    compiles anything.
    """
    chosen = os.environ.get("XLA_FLAGS", "")
    if importlib.metadata.version("jaxlib").startswith("0.10.") and (
        JOINING not in chosen
    ):
        flag = f"{JOINING}=-LIBRARY_FUSION_TYPE_REDUCE"
        os.environ["XLA_FLAGS"] = f"{chosen} {flag}".strip()


def preload_allocator() -> None:
    """Starts this script again with an allocator that keeps its memory, on CPUs.

    XLA allocates each call's temporaries anew, and glibc gives them back to the kernel
    after it: up to half of a step's time goes into page faults. jemalloc and tcmalloc
    keep them, if the system has one (nothing is downloaded); glibc can be told to.

    `GPSATTN_ALLOCATOR` chooses: none, jemalloc, tcmalloc, glibc, or auto (the default),
    which takes the first of the three that is there. A script that another program runs
    in its own process stays.

    Raises:
        SystemExit: for another choice, or one that is not on the system.
    """
    if not is_whole_process():
        return
    choice = os.environ.get("GPSATTN_ALLOCATOR", "auto")
    if choice not in CHOICES:
        raise SystemExit(
            f"Error: GPSATTN_ALLOCATOR must be one of {', '.join(CHOICES)}; "
            f"got {choice!r}."
        )
    preloaded = os.environ.get("LD_PRELOAD", "")
    loaded = any(name in preloaded for name in (*ALLOCATORS, "mimalloc"))
    loaded = loaded or STARTED in os.environ
    if choice == "none" or loaded or not _on_cpu_of_linux():
        return
    names = (*ALLOCATORS, "glibc") if choice == "auto" else (choice,)
    # One after the other: to look for a library takes a process.
    environment = next(
        filter(None, (_environment(name, preloaded) for name in names)), None
    )
    if environment is not None:
        print(
            f"Memory from {environment[STARTED]}; GPSATTN_ALLOCATOR=none for none.",
            file=sys.stderr,
        )
        _start_again(environment)
        return
    package = PACKAGES[names[0]]
    if choice != "auto":
        raise SystemExit(
            f"Error: GPSATTN_ALLOCATOR={choice}: the dynamic loader finds no "
            f"lib{choice}. Debian's and Ubuntu's package is {package}."
        )
    if sys.stderr.isatty():
        print(
            f"With {package} installed (Debian, Ubuntu) steps on CPUs are faster; "
            "GPSATTN_ALLOCATOR=none hides this line.",
            file=sys.stderr,
        )


def keep_programs() -> pathlib.Path | None:
    """Keeps what JAX compiles between runs, by jaxlib's version and the processor.

    A folder in `JAX_COMPILATION_CACHE_DIR` is the user's choice and stays.

    Returns:
        The folder; None where none can be written, which costs time alone.
    """
    import jax

    chosen = jax.config.values["jax_compilation_cache_dir"]
    if chosen:
        return pathlib.Path(chosen)
    version = importlib.metadata.version("jaxlib")
    folder = cache_folder() / "programs" / f"jaxlib-{version}-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK | os.X_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _on_cpu_of_linux():
    """Before JAX is asked: what the environment says, or which devices there are."""
    chosen = os.environ.get("JAX_PLATFORMS", "").split(",")[0]
    on_cpu = chosen == "cpu" or (not chosen and not any(map(os.path.exists, DEVICES)))
    return on_cpu and sys.platform == "linux"


def _environment(name: str, preloaded: str) -> dict[str, str]:
    """What a process with that allocator needs; {} where it is not."""
    library = _find(name)
    if library is None:
        return {}
    found = {STARTED: library}
    if name == "glibc":
        others = os.environ.get("GLIBC_TUNABLES")
        return found | {"GLIBC_TUNABLES": ":".join(filter(None, [GLIBC, others]))}
    found["LD_PRELOAD"] = " ".join([library, *preloaded.split()])
    if name == "jemalloc" and "MALLOC_CONF" not in os.environ:
        found["MALLOC_CONF"] = JEMALLOC
    return found


def _find(name):
    if name == "glibc":
        version = platform.libc_ver()
        return " ".join(version) if version[0] == "glibc" else None
    found = (ctypes.util.find_library(library) for library in ALLOCATORS[name])
    return next(filter(None, found), None)


def _start_again(environment: Mapping[str, str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = [sys.executable, *sys.orig_argv[1:]]
    os.execve(sys.executable, arguments, {**os.environ, **environment})


def _processor():
    """Hexadecimal digits of the processor's model and what it can."""
    known = {platform.machine(), platform.processor()}
    try:
        with open("/proc/cpuinfo") as file:
            known |= {line for line in file if line.startswith(("model name", "flags"))}
    except OSError:
        pass  # another system: its names have to do
    return hashlib.sha256("".join(sorted(known)).encode()).hexdigest()[:8]
