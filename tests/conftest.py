"""What all tests share: --all, the data beside the repository, torch, a strict JAX."""

import importlib
import os
import sys
import tempfile
from pathlib import Path

import jax
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"

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
    parser.addoption("--all", action="store_true", help="run the slow tests as well")
    parser.addoption(
        "--seeds", type=int, default=300, help="random seeds for each parser's damage"
    )


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--all"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow: runs under --all"))


@pytest.fixture(scope="session")
def seeds(request):
    """The random seeds that a test of damaged files tries."""
    return range(request.config.getoption("--seeds"))


@pytest.fixture(scope="session")
def golden():
    """The folder of arrays that the originals computed."""
    return _folder(SHARED / "golden")


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


@pytest.fixture
def x64():
    """Double precision while the test runs, for numerical gradients."""
    with jax.enable_x64(True):
        yield


def _folder(path):
    if not path.is_dir():
        _lacking(f"{path} is not there", failing=_in_ci())
    return path


def _package(name, config):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        needed = config.getoption("--all") and sys.version_info[:2] == (3, 11)
        _lacking(f"{name} cannot be imported: {error}", failing=needed and _in_ci())


def _in_ci():
    return os.environ.get("CI", "").lower() in ("1", "true")


def _lacking(reason, *, failing):
    if failing:
        pytest.fail(f"{reason}, and this is CI.", pytrace=False)
    pytest.skip(reason)
