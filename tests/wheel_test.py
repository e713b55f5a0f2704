"""The wheel: everything of the package is in it, and it runs from another folder."""

import configparser
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from gpsattn_jax import __version__
from gpsattn_jax.systems import named_networks

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = ("gpsattn_jax", "pyproject.toml", "setup.py", "README.md", "LICENSE")
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's path, built from a copy with the setuptools at hand."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder)
    subprocess.run(
        [sys.executable, "-c", BUILD], cwd=folder, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_all_files_of_the_package_are_in_the_wheel(wheel):
    assert wheel.name == f"gpsattn_jax-{__version__}-py3-none-any.whl"
    package = ROOT / "gpsattn_jax"
    files = {p for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    wanted = {path.relative_to(ROOT).as_posix() for path in files}
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted
    assert "gpsattn_jax/py.typed" in found
    for name in named_networks.available():
        assert f"gpsattn_jax/pretrained/{name}.md" in found
        assert f"gpsattn_jax/pretrained/{name}.safetensors" in found


def test_its_script_is_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        text = archive.read(name).decode()
    scripts = configparser.ConfigParser()
    scripts.read_string(text)
    assert dict(scripts["console_scripts"]) == {"gpsattn": "gpsattn_jax.__main__:main"}


def test_it_runs_from_another_folder(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from gpsattn_jax.__main__ import main\n"
        "main(['gpsattn', 'pretrained', 'gsanet-digits'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    card = (named_networks.FOLDER / "gsanet-digits.md").read_text()
    assert (done.returncode, done.stdout.strip()) == (0, card.strip()), done.stderr
