"""Every command and every example on every page: run, or read by its own parser.

A comment before a block says how it is held: `<!-- run with: FLAGS -->` runs it with
these flags added, `<!-- not run: WHY -->` leaves it alone, `<!-- needs: PACKAGE -->`
skips where the package is not there. A block without one is parsed: flags by the
script's own definitions, jobs, modules, files and extras by their names. Python runs.
"""

import importlib.util
import pathlib
import subprocess
import sys
import tomllib

import pytest

from tests.blocks import blocks_of, commands_of
from tests.refusals import refusal
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/RESULTS.md", *ROOT.glob("docs/**/*.md")]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# Commands of `gpsattn` whose script in experiments/ has another name.
SCRIPTS = {"convert": "convert_checkpoint", "recognize": "recognize_stream"}


def name_of(path):
    return str(path.relative_to(ROOT))


def pages_with(wanted):
    """Pages that have such a block."""
    pages = [path for path in PAGES if any(map(wanted, blocks_of(path.read_text())))]
    return pytest.mark.parametrize("path", sorted(pages), ids=name_of)


def runs(block):
    return block.kind == "sh" and block.mark == "run with"


def is_parsed(block):
    return block.mark != "not run" and bool(commands_of(block))


@pages_with(is_parsed)
def test_commands_are_accepted(path):
    refused = []
    for block in filter(is_parsed, blocks_of(path.read_text())):
        for command in commands_of(block):
            said = complaint(command.words)
            # A page may show a refusal, and then it must be this one.
            if said and not says(command.answer, said.splitlines()[0]):
                line = " ".join(command.words)
                refused.append(f"line {block.line}: {line}\n  {said}")
    assert not refused, "\n".join(refused)


def says(answer, error):
    """Whether a transcript's line is an error, as far as it is not cut."""
    begin, cut, end = answer.partition("…")
    whole = error == answer
    return whole or bool(cut) and error.startswith(begin) and error.endswith(end)


def complaint(words):
    """What is wrong with a command; "" if nothing is."""
    program, *rest = words
    if program in ("python", "python3"):
        return complaint_of_python(*rest)
    if program == "pip" and rest[0] == "install":
        asked = [
            e
            for word in rest
            if "[" in word
            for e in word[:-1].split("[")[1].split(",")
        ]
        return "" if set(asked) <= set(EXTRAS) else f"no such extras: {asked}"
    if program == "gpsattn":
        return complaint_of_command(*rest)
    if program in ("cat", "export", "tensorboard"):  # not ours
        return ""
    return "" if (ROOT / program).is_file() else f"unknown command {program}"


def complaint_of_python(first, *arguments):
    if first == "-m":
        module, *arguments = arguments
        files = [a for a in arguments if a.startswith("tests/")]
        missing = [name for name in files if not (ROOT / name).exists()]
        found = importlib.util.find_spec(module)
        return "" if found and not missing else f"not there: {module} {missing}"
    if first == "dev.py":
        job = next(a for a in arguments if a != "install")
        return "" if job in jobs_of_dev() else f"no such job: {job}"
    script = ROOT / first
    return refusal(script.stem, *arguments) if script.is_file() else f"no {first}"


def script_of(word):
    """The script, or else the module, of a word of `gpsattn`."""
    return SCRIPTS.get(word, word.replace("-", "_"))


def complaint_of_command(word, *arguments):
    """Of `gpsattn WORD`, which is a script by another name, or a module alone."""
    script = script_of(word)
    if (ROOT / f"experiments/{script}.py").is_file():
        return refusal(script, *arguments)
    if (ROOT / f"gpsattn_jax/commands/{script}.py").is_file() or word.startswith("--"):
        return ""
    program = [sys.executable, "-m", "gpsattn_jax", word]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True).stderr


def jobs_of_dev():
    spec = importlib.util.spec_from_file_location("dev_of_pages", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.COMMANDS


@pages_with(runs)
def test_commands_run(path, tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
    monkeypatch.chdir(tmp_path)
    for block in filter(runs, blocks_of(path.read_text())):
        for command in commands_of(block):
            _, script, *arguments = command.words
            added = block.said.split()
            code, out, err = run_script(pathlib.Path(script).stem, *arguments, *added)
            assert code == 0, f"line {block.line}: {out}{err}"


def is_example(block):
    return block.kind == "python" and block.mark != "not run"


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(ROOT.glob("docs/**/*.md"))
        if any(map(is_example, blocks_of(path.read_text())))
    ],
    ids=name_of,
)
def test_examples_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for block in filter(is_example, blocks_of(path.read_text())):
        if block.mark == "needs":
            pytest.importorskip(block.said, reason=f"needs {block.said} (extra: test)")
        code = "\n" * block.line + block.text  # errors name the page's line
        exec(compile(code, str(path), "exec"), scope)
