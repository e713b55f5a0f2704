"""What all tests share: which of them run, data beside the repository, a strict JAX."""

import importlib
import os
import sys
import tempfile
from pathlib import Path

# XLA:CPU prints an error of several kilobytes whenever it reads what it has compiled.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Programs that took less than a second to compile are most of all: a fifth of the time.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Scripts would say where their memory comes from, and start twice.
os.environ.setdefault("GPSATTN_ALLOCATOR", "none")

import jax
import pytest
from absl import flags
from jax._src import compiler

from tests.processes import hurried_environment, old_emitters

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"

# Marker and option in one: why a test that has it is skipped without it.
OPTIONAL = {
    "slow": ("--all", "slow: runs under --all"),
    "exhaustive": ("--exhaustive", "as other tests, larger: runs under --exhaustive"),
}
NO_TORCH = "compares with PyTorch: runs under --all on Python 3.11"
ASKED_FOR = {NO_TORCH, *(reason for _, reason in OPTIONAL.values())}
# Compiled as users have it: here a compiler's wrong numbers are looked for.
OPTIMIZED = {"kernels", "jit_test.py", "jax_canary_test.py"}
# Beside every golden test, what a second JAX has to pass (--newest).
NEWEST = OPTIMIZED | {"modules", "floors_test.py"}

# Shapes that differ in rank are a mistake more often than a wish: say so by hand.
jax.config.update("jax_numpy_rank_promotion", "raise")

# Every `fit` compiles anew, as every script does: what one of them has compiled, the
# others read, and so do other workers and the scripts' processes. A folder of our own
# goes when the tests end; one that the environment names stays.
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    _COMPILED = tempfile.TemporaryDirectory(prefix="gpsattn-compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])


def pytest_addoption(parser):
    add = parser.addoption
    add("--all", action="store_true", help="run the slow tests as well")
    add("--exhaustive", action="store_true", help="run what repeats as well")
    add("--newest", action="store_true", help="only what a second JAX has to pass")
    add("--seeds", type=int, default=300, help="random seeds for each parser's damage")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--newest"):
        left_out = [item for item in items if not _for_the_newest(item)]
        items[:] = [item for item in items if _for_the_newest(item)]
        config.hook.pytest_deselected(items=left_out)
        return
    for item in items:
        for marker, (option, reason) in OPTIONAL.items():
            if item.get_closest_marker(marker) and not config.getoption(option):
                item.add_marker(pytest.mark.skip(reason=reason))


def _for_the_newest(item):
    """Golden, kernel, module and floor tests and one training, but no slow ones."""
    if item.get_closest_marker("one_jax"):
        return False
    if any(map(item.get_closest_marker, OPTIONAL)):
        return item.get_closest_marker("newest") is not None
    known = not NEWEST.isdisjoint(item.path.relative_to(TESTS).parts)
    return known or "golden" in item.fixturenames


@pytest.fixture(scope="module", autouse=True)
def compiled_in_a_hurry(request):
    """Compiling is most of all time; kernels and scripts have the compiler of users.

    The others do without LLVM's optimizations, half of that time, and with XLA's old
    emitters of CPU code, a third of the rest.
    """
    hurry = OPTIMIZED.isdisjoint(request.path.relative_to(TESTS).parts)
    before = jax.config.values["jax_disable_most_optimizations"]
    with pytest.MonkeyPatch.context() as patch:
        if hurry and old_emitters():
            # No setting reaches whatever is compiled, operations by themselves as well.
            options = _options_with(old_emitters())
            patch.setattr(compiler, "get_compile_options", options)
        if not hurry:
            jax.clear_caches()  # of what JAX itself compiled in a hurry before
        jax.config.update("jax_disable_most_optimizations", hurry)
        yield
        jax.config.update("jax_disable_most_optimizations", before)


def _options_with(more):
    """JAX's maker of compile options; `more` goes into all that it makes."""
    make = compiler.get_compile_options

    def make_options(*arguments, env_options_overrides=None, **options):
        overrides = more | (env_options_overrides or {})
        return make(*arguments, env_options_overrides=overrides, **options)

    return make_options


@pytest.fixture
def hurried_processes(monkeypatch):
    """Processes that the test starts compile in a hurry: where no number counts."""
    for name, value in hurried_environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bench():
    """benchmarks.run; its flags go again, and whoever comes next has them anew."""
    before = set(flags.FLAGS)
    yield importlib.import_module("benchmarks.run")
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)
    del sys.modules["benchmarks.run"]


@pytest.fixture(scope="session")
def seeds(request):
    """The random seeds that a test of damaged files tries."""
    return range(request.config.getoption("--seeds"))


@pytest.fixture(scope="session")
def golden():
    """The folder of arrays that the originals computed: see benchmarks/golden.py."""
    return _folder(Path(os.environ.get("GPSATTN_GOLDEN_DIR") or SHARED / "golden"))


@pytest.fixture(scope="session")
def cases():
    """The folder of small inputs that once failed."""
    return _folder(SHARED / "cases")


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data sets: $GPSATTN_DATA_DIR, or shared/data."""
    return _folder(Path(os.environ.get("GPSATTN_DATA_DIR", SHARED / "data")))


@pytest.fixture(scope="session")
def torch(request):
    """The torch package; a test that asks for it skips where there is none."""
    # The build machine has torch for Python 3.11 alone.
    return _package("torch", request.config)


@pytest.fixture(scope="session")
def gsa_pytorch(request, torch):
    """The public PyTorch GSA module's package."""
    return _package("gsa_pytorch", request.config)


@pytest.fixture(scope="session")
def timm(request, torch):
    """PyTorch Image Models: public code of ConViT, lambda layers and CoAtNet.

    It imports torchvision, whose build for the index belongs to another build of torch
    than the CPU's: without its two operators, which are never called here, the import
    fails. They are declared as the import expects them.
    """
    boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    if "torchvision" not in sys.modules:
        global _TORCHVISION  # goes when the library does
        _TORCHVISION = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, name):
                _TORCHVISION.define(name + boxes)
    return _package("timm", request.config)


@pytest.fixture
def x64():
    """Double precision while the test runs, for numerical gradients."""
    with jax.enable_x64(True):
        yield


def _folder(path):
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    return path


def _package(name, config):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        needed = config.getoption("--all") and sys.version_info[:2] == (3, 11)
        pytest.skip(f"{name} cannot be imported: {error}" if needed else NO_TORCH)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    return _no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return _no_skip_in_ci((yield))


def _no_skip_in_ci(report):
    """A skip becomes a failure there, but one that the options ask for."""
    if report.skipped and os.environ.get("CI", "").lower() in ("1", "true"):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in ASKED_FOR:
            report.outcome, report.longrepr = "failed", f"{reason}, and this is CI."
    return report
