"""What a script sets up before JAX starts: its allocator, its cache of programs."""

import os
import platform
import subprocess
import sys

import jax
import pytest

from gpsattn_jax import launch

IGNORED = ("LD_PRELOAD", "GPSATTN_ALLOCATOR")
SCRIPT = """
import os, sys
from gpsattn_jax import launch
launch.ALLOCATORS = {"jemalloc": ("m",)}  # a library that every system has
launch.preload_allocator()
print(sys.argv[1:], os.environ["LD_PRELOAD"], os.environ["MALLOC_CONF"])
"""


def run(code, *arguments, **environment):
    given = {key: value for key, value in os.environ.items() if key not in IGNORED}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=given | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def started(monkeypatch):
    """The environments with which the script would have been started again."""
    found = []
    monkeypatch.setattr(launch, "is_whole_process", lambda: True)
    monkeypatch.setattr(launch, "_start_again", found.append)
    monkeypatch.setattr(launch, "_find", {"tcmalloc": "libtcmalloc.so.4"}.get)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    for name in ("GPSATTN_ALLOCATOR", "LD_PRELOAD", "MALLOC_CONF", launch.STARTED):
        monkeypatch.delenv(name, raising=False)
    return found


def test_a_script_starts_once_more_with_its_arguments():
    done = run(SCRIPT, "--setup=digits", "--workdir=a b")
    assert done.stdout.startswith("['--setup=digits', '--workdir=a b'] libm.so")
    assert "dirty_decay_ms:-1" in done.stdout
    assert done.stderr.count("Memory from libm.so") == 1


def test_the_first_that_is_there(started):
    launch.preload_allocator()
    assert [found["LD_PRELOAD"] for found in started] == ["libtcmalloc.so.4"]


def test_glibc_is_told_to_keep_its_memory():
    """Arrays of more than a heap's 64 MiB, which it would take from the kernel anew."""
    code = """
import resource
from gpsattn_jax import launch
launch._find = {"glibc": "glibc 2"}.get
launch.preload_allocator()
import numpy
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    numpy.ones(1 << 24, numpy.float64)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    kept, given_back = (
        run(code, GPSATTN_ALLOCATOR=choice) for choice in ("auto", "none")
    )
    assert "Memory from glibc 2" in kept.stderr
    assert int(kept.stdout) < 100
    assert int(given_back.stdout) > int(kept.stdout)


def test_tunables_of_the_user_stay(started, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=1")
    monkeypatch.setattr(launch, "_find", {"glibc": "glibc 2.36"}.get)
    launch.preload_allocator()
    assert started[0]["GLIBC_TUNABLES"].endswith(":glibc.malloc.check=1")
    assert "LD_PRELOAD" not in started[0]


def test_what_is_preloaded_stays(started, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "libown.so")
    launch.preload_allocator()
    assert started[0]["LD_PRELOAD"] == "libtcmalloc.so.4 libown.so"
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so.2")
    launch.preload_allocator()
    assert len(started) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("GPSATTN_ALLOCATOR", "none"), ("JAX_PLATFORMS", "cuda,cpu")]
)
def test_no_allocator(started, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    launch.preload_allocator()
    assert not started


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("jemalloc", "package is libjemalloc2"),
        ("hoard", "must be one of auto, jemalloc, tcmalloc, glibc, none; got 'hoard'"),
    ],
)
def test_an_allocator_that_cannot_be(started, monkeypatch, choice, message):
    monkeypatch.setenv("GPSATTN_ALLOCATOR", choice)
    with pytest.raises(SystemExit, match=message):
        launch.preload_allocator()


def test_kept_programs_are_loaded_in_silence(tmp_path):
    """XLA's loader takes preferences of its compiler for features of the processor."""
    code = """
from gpsattn_jax import config_flags, launch
import jax
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
launch.keep_programs()
print(jax.jit(lambda x: x @ x)(jax.numpy.eye(2)).sum())
"""
    kept = {"GPSATTN_CACHE_DIR": str(tmp_path), "JAX_COMPILATION_CACHE_DIR": ""}
    for _ in range(2):
        done = run(code, **kept)
        assert (done.stdout, done.stderr) == ("2.0\n", "")
    assert any(tmp_path.rglob("*-cache"))


@pytest.fixture
def no_cache():
    """JAX without a folder for its programs, until the test ends."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_programs_are_kept_by_version_and_processor(no_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path))
    folder = launch.keep_programs()
    assert folder.is_dir() and folder.parent == tmp_path / "programs"
    assert folder.name.startswith(f"jaxlib-{jax.lib.__version__}-")
    assert jax.config.jax_compilation_cache_dir == str(folder)


def test_a_folder_of_the_user_stays(no_cache, monkeypatch, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path))
    assert launch.keep_programs() == tmp_path / "mine"


def test_where_nothing_can_be_written_nothing_is_kept(no_cache, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "file"))
    assert launch.keep_programs() is None
    assert jax.config.jax_compilation_cache_dir is None


WRONG_SUM = """
import os
from gpsattn_jax import launch
launch.avoid_wrong_sums()
launch.avoid_wrong_sums()
print(os.environ.get("XLA_FLAGS", "").count("ynn_fusion_type"))
import jax, numpy as np
x, w = np.ones((4 * 49, 32), np.float32), np.ones((32, 600), np.float32)
sums = jax.jit(lambda x, w: (x @ w).reshape(4, 49, 600).sum(1))(x, w)
print(float(sums.min()), float(sums.max()))
"""


def test_a_sum_after_a_product_is_right():
    """JAX 0.10 without that flag gives 1,568 in some places alone."""
    ran = run(WRONG_SUM, XLA_FLAGS="")
    affected = jax.__version__.startswith("0.10.")
    assert ran.stdout.splitlines() == [str(int(affected)), "1568.0 1568.0"], ran.stderr


def test_another_choice_of_the_flag_stays(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"{launch.JOINING}=")
    launch.avoid_wrong_sums()
    assert os.environ["XLA_FLAGS"] == f"{launch.JOINING}="
