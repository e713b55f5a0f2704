"""dev.py without installing anything, and the pins that it installs from."""

import importlib.util
import json
import os
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIREMENTS = {
    Requirement(line)
    for lines in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in lines
}


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """A fresh dev.py whose repository is a folder of two files."""
    spec = importlib.util.spec_from_file_location("dev_under_test", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "dev.py").touch()  # what the lock is on
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "PYTHON", tmp_path / ".venv/python")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv/dev.json")
    return module


@pytest.fixture
def installer(dev, monkeypatch):
    """Records install commands instead of running them: they succeed, save some."""
    commands, failing = [], set()

    def run_installer(command):
        assert dev.read_stamp() == {}, "a half-done install must not look done"
        commands.append(command[-1])
        dev.PYTHON.touch()
        failed = any(word in " ".join(command) for word in failing)
        return int(failed), ["ERROR: no"]

    monkeypatch.setattr(dev, "run_installer", run_installer)
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev, "venv_command", lambda: ["venv"])
    return commands, failing


def test_extras_of_each_job(dev):
    assert dev.wanted_extras("demo", []) == {"data", "plot"}
    assert dev.wanted_extras("lint", []) == {"dev"}
    assert "torch" not in dev.wanted_extras("test", ["-k", "kernels"])
    assert "torch" in dev.wanted_extras("test", ["--all"])
    assert "torch" in dev.wanted_extras("bench", [])
    assert "torch" not in dev.wanted_extras("demo", ["--all"])


def test_every_extra_exists(dev):
    named = set().union(*dev.EXTRAS.values())
    assert named <= set(PROJECT["optional-dependencies"])


def test_second_run_installs_nothing(dev, installer):
    commands, _ = installer
    dev.prepare({"data"})
    assert commands == ["venv", ".[data]"]
    dev.prepare({"data"})
    assert commands == ["venv", ".[data]"]


def test_extras_accumulate(dev, installer):
    commands, _ = installer
    dev.prepare({"data"})
    dev.prepare({"plot"})
    assert commands[2:] == [".[data,plot]"]
    assert json.loads(dev.STAMP.read_text())["extras"] == ["data", "plot"]


def test_changed_constraints_install_again(dev, installer):
    commands, _ = installer
    dev.prepare({"data"})
    with (dev.ROOT / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    dev.prepare({"data"})
    assert commands[2:] == [".[data]"]


@pytest.mark.parametrize("content", ["{}", "", '{"python": "2.7", "extras": []}'])
def test_unfinished_or_foreign_python_starts_over(dev, installer, content):
    commands, _ = installer
    dev.prepare({"data"})
    dev.STAMP.write_text(content)
    (dev.VENV / "leftover").touch()
    dev.prepare({"data"})
    assert commands[2:] == ["venv", ".[data]"]
    assert not (dev.VENV / "leftover").exists()


def test_failed_install_keeps_what_was_there(dev, installer, capsys):
    _, failing = installer
    dev.prepare({"data"})
    failing.add("plot")
    with pytest.raises(SystemExit) as stopped:
        dev.prepare({"plot"})
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "ERROR: no" in said and "run again" in said
    assert dev.covers(dev.read_stamp(), {"data"})
    assert not dev.covers(dev.read_stamp(), {"plot"})


def test_failed_first_install_leaves_no_valid_stamp(dev, installer):
    _, failing = installer
    failing.add("data")
    with pytest.raises(SystemExit):
        dev.prepare({"data"})
    assert dev.read_stamp() == {}


def test_missing_torch_is_no_failure(dev, installer, capsys):
    commands, failing = installer
    failing.add("torch==")
    dev.prepare({"test", "torch"})
    assert "Without a CPU build of torch" in capsys.readouterr().err
    assert dev.covers(dev.read_stamp(), {"test"})
    failing.clear()
    dev.prepare({"test", "torch"})
    assert commands[-1] == ".[test,torch]"
    assert dev.covers(dev.read_stamp(), {"test", "torch"})


def test_a_venv_of_somebody_else_is_left_alone(dev, installer, capsys):
    dev.VENV.mkdir()
    (dev.VENV / "theirs").touch()
    with pytest.raises(SystemExit):
        dev.prepare({"data"})
    assert "Move it out of the way" in capsys.readouterr().err
    assert (dev.VENV / "theirs").exists()


def test_missing_ensurepip_names_the_ways_out(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        dev.venv_command()
    said = capsys.readouterr().err
    for way_out in ("apt install python3-venv", "virtualenv", "uv"):
        assert way_out in said


def test_uv_comes_first_but_never_for_torch(dev, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    with_uv, with_pip = dev.install_commands({"b", "a"})
    assert with_uv[:3] == ["/bin/uv", "pip", "install"]
    assert with_pip[1:4] == ["-m", "pip", "install"]
    assert with_uv[-1] == with_pip[-1] == ".[a,b]"
    (only_pip,) = dev.install_commands({"torch"})
    for command in (only_pip, dev.torch_command()):
        assert command[1:4] == ["-m", "pip", "install"]


def test_uv_makes_the_venv_where_python_cannot(dev, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    assert dev.venv_command()[:3] == ["/bin/uv", "venv", "--seed"]


def test_pip_takes_over_when_uv_fails(dev, installer, monkeypatch):
    commands, failing = installer
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    failing.add("/bin/uv")
    dev.prepare({"data"})
    assert commands == ["venv", ".[data]", ".[data]"]
    assert dev.covers(dev.read_stamp(), {"data"})


@pytest.mark.parametrize("platform, named", [("linux", True), ("darwin", False)])
def test_torch_is_a_cpu_build(dev, monkeypatch, platform, named):
    monkeypatch.setattr(dev.sys, "platform", platform)
    (torch,) = (word for word in dev.torch_command() if word.startswith("torch=="))
    assert torch.endswith("+cpu") == named


def test_old_python_without_a_newer_one(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.sys, "version_info", (3, 8, 18))
    with pytest.raises(SystemExit):
        dev.main(["lint"])
    assert "needs Python 3.11 or newer; this is 3.8" in capsys.readouterr().err


def test_old_python_gives_way_to_a_newer_one(dev, monkeypatch):
    started = []
    monkeypatch.setattr(dev.shutil, "which", lambda name: sys.executable)
    monkeypatch.setattr(dev.sys, "version_info", (3, 8, 18))
    monkeypatch.setattr(os, "execv", lambda path, command: started.append(command))
    with pytest.raises(SystemExit):  # the real execv does not come back
        dev.use_newer_python(["test", "--all"])
    assert started[0] == [sys.executable, str(dev.ROOT / "dev.py"), "test", "--all"]


def test_unknown_job_lists_the_jobs(dev, capsys):
    with pytest.raises(SystemExit):
        dev.main(["tests"])
    said = capsys.readouterr().err
    assert "must be one of demo, test, lint, bench; got 'tests'." in said


def test_the_jobs_exit_code_is_passed_on(dev):
    assert dev.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_requirement_has_one_pin(python):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {}
    for line in lines:
        if line.startswith("#"):
            continue
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            name = canonicalize_name(pin.name)
            assert name not in pins, f"{name} has two pins on {python}"
            pins[name] = next(iter(pin.specifier)).version
    for requirement in REQUIREMENTS:
        version = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_no_requirement_has_an_upper_cap():
    operators = {part.operator for each in REQUIREMENTS for part in each.specifier}
    assert operators <= {">="}
