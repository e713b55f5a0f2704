"""What keeps a run from going on: other runs, cut logs, fields of older runs."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from gpsattn_jax.configs import Checked, default_values
from gpsattn_jax.training import TrainConfig, workdir_lock
from gpsattn_jax.training.checksums import write_checksums
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.logs import MetricLog, read_metrics
from gpsattn_jax.training.settings import check_settings
from gpsattn_jax.training.workdir_lock import locked
from tests.training.fit_test import CONFIG, run

HOLDER = """
import pathlib, sys, time
from gpsattn_jax.training.workdir_lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the workdir."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_workdir_is_held_by_one_run_and_free_after_a_kill(tmp_path, holder):
    today = time.strftime("%Y-%m-%d")
    message = f"{tmp_path} is in use by process {holder.pid} of .* since {today} "
    with pytest.raises(BlockingIOError, match=message):
        run(tmp_path)
    assert not (tmp_path / "checkpoints").exists()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    config = dataclasses.replace(CONFIG, num_steps=5)
    assert int(run(tmp_path, config).step) == 5


def test_a_workdir_is_free_when_a_run_ends_or_fails(tmp_path):
    for _ in range(2):
        with pytest.raises(FloatingPointError):
            run(tmp_path, spoil_at=2)
    with locked(tmp_path), pytest.raises(BlockingIOError, match=f"{os.getpid()}"):
        run(tmp_path)


def test_without_locks_a_run_goes_on_with_a_warning(tmp_path, monkeypatch, capsys):
    def none_here(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(workdir_lock.fcntl, "flock", none_here)
    config = dataclasses.replace(CONFIG, num_steps=5)
    assert int(run(tmp_path, config).step) == 5
    told = capsys.readouterr().err
    assert f"{tmp_path / '.lock'}: no locks here (Operation not supported)" in told


# The log.


def with_log(folder, *rows):
    path = folder / "metrics.jsonl"
    path.write_bytes(b"\n".join(rows))
    return path


GOOD = b'{"step": 3, "loss": 1.5}'


def test_a_cut_last_line_is_set_aside_and_the_run_goes_on(tmp_path, capsys):
    config = dataclasses.replace(CONFIG, num_steps=10)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, config, signal_at=6)
    path = tmp_path / "metrics.jsonl"
    with path.open("ab") as file:
        file.write(b'{"step": 7, "lo')
    capsys.readouterr()
    before = [line["step"] for line in read_metrics(tmp_path)]
    assert "the last line, cut off, is left out" in capsys.readouterr().err
    run(tmp_path, config)
    aside = tmp_path / "metrics.jsonl.damaged"
    assert aside.read_bytes() == b'{"step": 7, "lo\n'
    assert f"{path}: the last line, cut off, is in {aside}" in capsys.readouterr().err
    steps = [line["step"] for line in read_metrics(tmp_path)]
    assert steps[: len(before)] == before and steps[-1] == 10


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (b'{"step": 3, "lo', "must be JSON: Unterminated string"),
        (b"[3, 1.5]", "must be an object; got list"),
        (b"\xff\xfe", "must be "),
        (b"[" * 100_000, "must be JSON: maximum recursion depth"),
        (b'{"loss": 1.5}', "step must be a whole number; got None"),
        (b'{"step": 2.5}', "step must be a whole number; got 2.5"),
        (b'{"step": true}', "step must be a whole number; got True"),
        (b'{"step": 1e999}', "step must be a whole number; got inf"),
        (b'{"step": 3, "loss": {"a": 1}}', "loss must be a number; got dict"),
        (b'{"step": 3, "loss": NaN}', "loss must be a number; got nan"),
        (b'{"step": 3, "loss": 1' + b"0" * 400 + b"}", "loss must be a number; got 10"),
        (b"", "must be JSON"),
    ],
)
def test_a_damaged_line_is_named_with_its_field(tmp_path, row, message):
    path = with_log(tmp_path, GOOD, row, GOOD, b"")
    for read in (read_metrics, lambda folder: MetricLog(folder, 10)):
        with pytest.raises(ValueError, match="line 2") as error:
            read(tmp_path)
        assert str(error.value).startswith(f"{path}, line 2: {message}")
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert path.read_bytes().count(b"\n") == 3  # as it was


def test_logs_that_are_no_files_or_empty(tmp_path):
    path = with_log(tmp_path)
    assert read_metrics(tmp_path) == []
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match="metrics.jsonl must be a file; got a folder"):
        read_metrics(tmp_path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="metrics.jsonl: must be a file; got a pipe"):
        read_metrics(tmp_path)


# Settings.


def rewrite_settings(workdir, change):
    """Changes what the checkpoints say of the run, as an older version would have."""
    for folder in (workdir / "checkpoints").iterdir():
        path = folder / "metadata" / "metadata"
        settings = json.loads(path.read_text())
        change(settings)
        path.write_text(json.dumps(settings))
        write_checksums(folder)


def test_fields_that_a_run_lacks_count_as_their_defaults(tmp_path, capsys):
    first = run(tmp_path)
    rewrite_settings(tmp_path, lambda settings: settings["train"].pop("accumulate"))
    capsys.readouterr()
    assert int(run(tmp_path).step) == int(first.step)
    assert "count as their defaults: train.accumulate=1." in capsys.readouterr().err
    other = dataclasses.replace(CONFIG, accumulate=2)
    with pytest.raises(ValueError, match="train.accumulate was 1, is 2"):
        run(tmp_path, other)
    rewrite_settings(tmp_path, lambda settings: settings["train"].update(gone=1))
    with pytest.raises(ValueError, match="train.gone was 1, is None"):
        run(tmp_path)


def test_fields_without_a_default_stay_differences():
    with pytest.raises(ValueError, match="name was None, is 'a'"):
        check_settings({}, {"name": "a"}, "run", {})
    check_settings({}, {"train": {"keep": (1, 2)}}, "run", {"train": {"keep": [1, 2]}})


def test_defaults_are_nested_as_settings_are():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Whole(Checked):
        train: TrainConfig = TrainConfig(seed=3)
        machine: Machine
        name: str
        size: tuple[int, ...] = (1, 2)

    found = default_values(Whole)
    assert found["train"] == dataclasses.asdict(TrainConfig(seed=3))
    assert found["machine"] == dataclasses.asdict(Machine())
    assert found["size"] == (1, 2) and "name" not in found
