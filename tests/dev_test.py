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
from packaging.version import Version

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
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


@pytest.fixture
def venv(dev):
    return dev.Venv(".venv")


@pytest.fixture
def installer(dev, venv, monkeypatch):
    """Records install commands instead of running them: they succeed, save some."""
    commands, failing = [], set()

    def run_installer(command):
        assert venv.read_stamp() == {}, "a half-done install must not look done"
        commands.append(command[-1])
        python = Path(venv.python)
        python.parent.mkdir(exist_ok=True)
        python.touch()
        failed = any(word in " ".join(command) for word in failing)
        return int(failed), ["ERROR: no"]

    monkeypatch.setattr(dev, "run_installer", run_installer)
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev, "venv_command", lambda folder: ["venv"])
    return commands, failing


def test_extras_of_each_job(dev):
    assert dev.wanted_extras("demo", []) == {"data", "plot"}
    assert dev.wanted_extras("lint", []) == {"dev"}
    assert "torch" not in dev.wanted_extras("test", ["-k", "kernels"])
    assert "torch" in dev.wanted_extras("test", ["--all"])
    assert "torch" in dev.wanted_extras("bench", [])
    assert "torch" not in dev.wanted_extras("demo", ["--all"])


def test_the_run_on_a_card_has_its_plugin(dev, monkeypatch, tmp_path):
    monkeypatch.setattr(dev, "NVIDIA", str(tmp_path))
    assert "cuda13" in dev.wanted_extras("bench", ["--accelerator"])
    assert "cuda13" not in dev.wanted_extras("bench", [])
    monkeypatch.setattr(dev, "NVIDIA", str(tmp_path / "none"))
    assert "cuda13" not in dev.wanted_extras("bench", ["--accelerator"])


def test_every_extra_exists(dev):
    named = set().union(*dev.EXTRAS.values())
    assert named <= set(PROJECT["optional-dependencies"])


def test_second_run_installs_nothing(dev, venv, installer):
    commands, _ = installer
    dev.prepare(venv, {"data"})
    assert commands == ["venv", ".[data]"]
    dev.prepare(venv, {"data"})
    assert commands == ["venv", ".[data]"]


def test_extras_accumulate(dev, venv, installer):
    commands, _ = installer
    dev.prepare(venv, {"data"})
    dev.prepare(venv, {"plot"})
    assert commands[2:] == [".[data,plot]"]
    assert json.loads(venv.stamp.read_text())["extras"] == ["data", "plot"]


def test_changed_constraints_install_again(dev, venv, installer):
    commands, _ = installer
    dev.prepare(venv, {"data"})
    with (dev.ROOT / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    dev.prepare(venv, {"data"})
    assert commands[2:] == [".[data]"]


@pytest.mark.parametrize("content", ["{}", "", '{"python": "2.7", "extras": []}'])
def test_unfinished_or_foreign_python_starts_over(dev, venv, installer, content):
    commands, _ = installer
    dev.prepare(venv, {"data"})
    venv.stamp.write_text(content)
    (venv.folder / "leftover").touch()
    dev.prepare(venv, {"data"})
    assert commands[2:] == ["venv", ".[data]"]
    assert not (venv.folder / "leftover").exists()


def test_failed_install_keeps_what_was_there(dev, venv, installer, capsys):
    _, failing = installer
    dev.prepare(venv, {"data"})
    failing.add("plot")
    with pytest.raises(SystemExit) as stopped:
        dev.prepare(venv, {"plot"})
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "ERROR: no" in said and "run again" in said
    assert venv.covers(venv.read_stamp(), {"data"})
    assert not venv.covers(venv.read_stamp(), {"plot"})


def test_failed_first_install_leaves_no_valid_stamp(dev, venv, installer):
    _, failing = installer
    failing.add("data")
    with pytest.raises(SystemExit):
        dev.prepare(venv, {"data"})
    assert venv.read_stamp() == {}


def test_missing_torch_is_no_failure(dev, venv, installer, capsys):
    commands, failing = installer
    failing.add("torch==")
    dev.prepare(venv, {"test", "torch"})
    assert "Without a CPU build of torch" in capsys.readouterr().err
    assert venv.covers(venv.read_stamp(), {"test"})
    failing.clear()
    dev.prepare(venv, {"test", "torch"})
    assert commands[-1] == ".[test,torch]"
    assert venv.covers(venv.read_stamp(), {"test", "torch"})


def test_a_venv_of_somebody_else_is_left_alone(dev, venv, installer, capsys):
    venv.folder.mkdir()
    (venv.folder / "theirs").touch()
    with pytest.raises(SystemExit):
        dev.prepare(venv, {"data"})
    assert "Move it out of the way" in capsys.readouterr().err
    assert (venv.folder / "theirs").exists()


def test_missing_ensurepip_names_the_ways_out(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev.shutil, "which", lambda name: None)
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        dev.venv_command(Path(".venv"))
    said = capsys.readouterr().err
    for way_out in ("apt install python3-venv", "virtualenv", "uv"):
        assert way_out in said


def test_uv_comes_first_but_never_for_torch(dev, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    with_uv, with_pip = dev.install_commands("python", {"b", "a"})
    assert with_uv[:3] == ["/bin/uv", "pip", "install"]
    assert with_pip[1:4] == ["-m", "pip", "install"]
    assert with_uv[-1] == with_pip[-1] == ".[a,b]"
    (only_pip,) = dev.install_commands("python", {"torch"})
    for command in (only_pip, dev.torch_command("python")):
        assert command[1:4] == ["-m", "pip", "install"]
        assert "--no-compile" in command


def test_uv_makes_the_venv_where_python_cannot(dev, monkeypatch):
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    assert dev.venv_command(Path(".venv"))[:3] == ["/bin/uv", "venv", "--seed"]


def test_pip_takes_over_when_uv_fails(dev, venv, installer, monkeypatch):
    commands, failing = installer
    monkeypatch.setattr(dev.shutil, "which", lambda name: f"/bin/{name}")
    failing.add("/bin/uv")
    dev.prepare(venv, {"data"})
    assert commands == ["venv", ".[data]", ".[data]"]
    assert venv.covers(venv.read_stamp(), {"data"})


@pytest.mark.parametrize("platform, named", [("linux", True), ("darwin", False)])
def test_torch_is_a_cpu_build(dev, monkeypatch, platform, named):
    monkeypatch.setattr(dev.sys, "platform", platform)
    (torch,) = (
        word for word in dev.torch_command("python") if word.startswith("torch==")
    )
    assert torch.endswith("+cpu") == named


def test_the_converter_comes_without_its_older_orbax(dev, venv, installer):
    commands, _ = installer
    dev.prepare(venv, {"onnx"})
    assert commands[-2:] == [".[onnx]", dev.pinned("jax2onnx")]
    assert "--no-deps" in dev.converter_command("python")


@pytest.fixture
def exec_commands(dev, monkeypatch):
    """What dev.py would start in its own place; the real execv does not come back."""
    commands = []

    def execv(path, command):
        assert path == command[0]
        commands.append(command[:1] + command[2:])
        raise SystemExit(0)

    monkeypatch.setattr(dev.os, "execv", execv)
    return commands


def old(dev, monkeypatch, version=(3, 8, 18), newer=()):
    """As if a Python of that version ran, beside newer ones."""
    monkeypatch.setattr(dev.sys, "version_info", version)
    monkeypatch.setattr(dev, "candidates", lambda: iter(newer))


def test_old_python_without_a_newer_one(dev, monkeypatch, capsys):
    old(dev, monkeypatch)
    with pytest.raises(SystemExit) as stopped:
        dev.main(["lint"])
    assert stopped.value.code == 1
    assert "lint needs Python 3.11 or newer; this is 3.8" in capsys.readouterr().err


def test_old_python_gives_way_to_a_newer_one(dev, monkeypatch, exec_commands):
    old(dev, monkeypatch, newer=["/nowhere/python3.12", "false", sys.executable])
    with pytest.raises(SystemExit):
        dev.main(["test", "--all"])
    assert exec_commands == [[sys.executable, "test", "--all"]]


def test_a_newer_python_must_be_new_enough(dev, monkeypatch):
    old(dev, monkeypatch, newer=[sys.executable])
    assert dev.newer_python((3, 11)) == sys.executable
    assert dev.newer_python((3, 99)) is None


@pytest.mark.parametrize("ci, code", [("", 0), ("true", 1)])
def test_newest_without_its_python_fails_in_ci(dev, monkeypatch, capsys, ci, code):
    monkeypatch.setenv("CI", ci)
    old(dev, monkeypatch, version=(3, 11, 7))
    with pytest.raises(SystemExit) as stopped:
        dev.main(["test-newest"])
    assert stopped.value.code == code
    expected = "needs Python 3.12 or newer; this is 3.11"
    assert f"test-newest did not run: it {expected}" in capsys.readouterr().err


def test_newest_starts_again_under_its_python(dev, monkeypatch, exec_commands):
    old(dev, monkeypatch, version=(3, 11, 7), newer=["python"])
    monkeypatch.setattr(dev.subprocess, "call", lambda *_, **__: 0)
    with pytest.raises(SystemExit):
        dev.main(["test-newest", "-x"])
    assert exec_commands == [["python", "test-newest", "-x"]]


def test_pythons_of_the_path_then_of_pyenv_then_of_uv(dev, monkeypatch, tmp_path):
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho of-uv\n")
    uv.chmod(0o755)
    paths = {"python3.12": "of-path", "uv": str(uv)}
    monkeypatch.setattr(dev.shutil, "which", paths.get)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    python = tmp_path / "versions/3.12.1/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert list(dev.candidates()) == ["of-path", str(python), "of-uv"]


def test_each_job_has_its_environment(dev, monkeypatch):
    started = []
    monkeypatch.setattr(dev, "prepare", lambda venv, _: started.append(venv.python))
    monkeypatch.setattr(
        dev, "run", lambda command, more: started.append((command[-1], more)) or 0
    )
    monkeypatch.setattr(dev.sys, "version_info", (3, 13, 0))
    for job in ("test", "test-newest"):
        dev.main([job, job])
    first, last = (str(dev.ROOT / name) for name in (".venv", ".venv-newest"))
    assert started[0].startswith(first + os.sep)
    assert started[1] == ("test", dev.Venv(".venv").variables())
    assert started[2].startswith(last + os.sep)
    variables = dev.Venv(".venv-newest").variables()
    assert started[3] == ("test-newest", variables | dev.FLAX_TO_COME)


def test_jobs_keep_bytecode_in_their_environment(dev, venv, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (dev.ROOT / "module.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(dev.ROOT))
    dev.run([sys.executable, "-c", "import module"], venv.variables())
    assert list((venv.folder / "pycache").glob("**/module.*.pyc"))
    assert not (dev.ROOT / "__pycache__").exists()


def test_installing_alone_runs_no_job(dev, monkeypatch):
    prepared = []
    monkeypatch.setattr(dev, "prepare", lambda venv, more: prepared.append(more))
    monkeypatch.setattr(dev, "run", lambda *_: pytest.fail("ran a job"))
    assert dev.main(["install", "test", "--all"]) == 0
    assert prepared == [dev.EXTRAS["test"] | {"torch"}]
    with pytest.raises(SystemExit):
        dev.main(["install"])


def test_two_environments_are_made_at_once_and_one_by_one_process(dev, capsys):
    fcntl = pytest.importorskip("fcntl")
    first, last = dev.ROOT / ".venv", dev.ROOT / ".venv-newest"
    with dev.locked(first), dev.locked(last):
        other = os.open(first, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
    assert "waiting" not in capsys.readouterr().err


def test_unknown_job_lists_the_jobs(dev, capsys):
    with pytest.raises(SystemExit):
        dev.main(["tests"])
    said = capsys.readouterr().err
    assert (
        "must be one of demo, test, test-newest, lint, bench, docs; got 'tests'."
        in said
    )


def test_the_jobs_exit_code_is_passed_on(dev):
    assert dev.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7
    code = "import os; raise SystemExit(int(os.environ['CODE']))"
    assert dev.run([sys.executable, "-c", code], {"CODE": "5"}) == 5


# Python versions, and the JAX releases that none of them may get.
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
FORBIDDEN = ["0.10.2", "0.11.1"]


def pins(python):
    """The versions of constraints.txt for a version of Python, by name."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            name = canonicalize_name(pin.name)
            assert name not in found, f"{name} has two pins on {python}"
            found[name] = next(iter(pin.specifier)).version
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_has_one_pin(python):
    versions = pins(python)
    for requirement in REQUIREMENTS:
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("version", FORBIDDEN)
def test_no_pin_and_no_range_admits_a_wrong_jax(version):
    """Whoever installs the package gets `dependencies`, with and without an extra."""
    ours = [Requirement(line) for line in PROJECT["dependencies"]]
    (jax,) = (requirement for requirement in ours if requirement.name == "jax")
    assert not jax.specifier.contains(version)
    assert jax.specifier.contains("0.10.1") and jax.specifier.contains("0.12.0.1")
    for python in PYTHONS:
        versions = pins(python)
        assert version not in (versions["jax"], versions["jaxlib"]), python


def test_the_newest_python_has_another_jax():
    old, new = pins("3.11"), pins("3.12")
    assert Version(old["jax"]) < Version(new["jax"])


def test_no_requirement_has_an_upper_cap():
    operators = {part.operator for each in REQUIREMENTS for part in each.specifier}
    assert operators <= {">=", "!="}
