"""`--log_to`: event files and runs of Weights & Biases, read back; resumed runs."""

import json
import struct
import sys
import types

import numpy as np
import pytest

from gpsattn_jax.data.batches import Arrays, Batches
from gpsattn_jax.training import Machine, TrainConfig, fit, trackers
from gpsattn_jax.training.config import TRACKERS
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.losses import cross_entropy
from tests.event_files import read_events
from tests.training import small

CONFIG = TrainConfig(num_steps=8, batch_size=8, evaluate_every=4, log_every=2)
SETTINGS = {
    "train": {"seed": 0, "frozen": ("stem",), "best_metric": "accuracy"},
    "model": {"deep": True},
}
NETWORK, LOSS = small.Linear(), cross_entropy(0.1)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 3, 2) + b"\x08\x02\0\0\0"


@pytest.fixture
def tensorboard():
    """What reads an event file."""
    pytest.importorskip(
        "tensorboardX", reason="needs tensorboardX (extra: tensorboard)"
    )
    return read_events


class FakeRun:
    """A run of W&B that keeps what is logged, as W&B does: steps never go back."""

    def __init__(self, kept):
        self.kept, self.step = kept, 1 + max([-1, *kept["steps"]])

    def log(self, metrics, step=None):
        step = self.step if step is None else step
        assert step >= max([0, *self.kept["steps"]])
        self.kept["steps"].setdefault(step, {}).update(metrics)
        self.step = step

    def finish(self, exit_code):
        self.kept["ended"].append(exit_code)


@pytest.fixture
def wandb(monkeypatch):
    """A module in the place of wandb: {number of a run: what was logged}."""
    runs = {}

    def init(**options):
        new = {"options": [], "steps": {}, "ended": []}
        kept = runs.setdefault(options["id"], new)
        kept["options"].append(options)
        return FakeRun(kept)

    module = types.SimpleNamespace(init=init, Image=lambda path: ("image", path))
    monkeypatch.setitem(sys.modules, "wandb", module)
    return runs


def train(workdir, *names, steps=8):
    """Trains for so many steps of eight, as if it were stopped then."""
    config = CONFIG

    def evaluate(params, state):
        del params, state
        return {"accuracy": 0.5}

    class Stopped(Batches):
        def __call__(self, step):
            if step == steps:
                raise ChildProcessError("A process that makes batches was ended.")
            return super().__call__(step)

    batches = Stopped(Arrays(*small.examples(30)), batch_size=8, seed=0)
    machine = Machine(log_to=names)
    options = {"settings": SETTINGS, "machine": machine}
    return fit(NETWORK, LOSS, batches, evaluate, config, workdir, **options)


def scalars(events):
    """[(step, tag, value), …] of all numbers in event files."""
    return [
        (event.step, value.tag, value.simple_value)
        for event in events
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def logged(workdir):
    """The same of metrics.jsonl."""
    return [
        (line["step"], name, value)
        for line in read_metrics(workdir)
        for name, value in line.items()
        if name != "step"
    ]


def assert_same(found, expected):
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    np.testing.assert_allclose([r[2] for r in found], [r[2] for r in expected], 1e-6)


def test_the_names_are_those_of_the_flag():
    assert set(trackers.TRACKERS) == set(TRACKERS)
    with pytest.raises(ValueError, match="log_to must be one of tensorboard, wandb"):
        Machine(log_to=("tensorbord",))


def test_an_event_file_has_what_the_log_has(tmp_path, tensorboard):
    train(tmp_path, "tensorboard")
    events = tensorboard(tmp_path)
    assert_same(scalars(events), logged(tmp_path))
    assert {"loss", "learning_rate", "evaluation/accuracy"} <= {
        tag for _, tag, _ in scalars(events)
    }
    assert (tmp_path / "metrics.csv").is_file()
    values = {v.tag: v for e in events for v in e.summary.value}
    (text,) = values["settings/text_summary"].tensor.string_val
    settings = text.decode().removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(settings)["train"]["frozen"] == ["stem"]
    compared = values["_hparams_/experiment"].metadata.plugin_data.content
    assert b"evaluation/accuracy" in compared
    begun = values["_hparams_/session_start_info"].metadata.plugin_data.content
    assert b"model.deep" in begun and b"train.seed" in begun
    assert "_hparams_/session_end_info" in values


def test_a_run_that_goes_on_writes_no_step_twice(tmp_path, tensorboard, wandb):
    with pytest.raises(ChildProcessError):
        train(tmp_path, "tensorboard", "wandb", steps=7)
    first = tensorboard(tmp_path)
    # Behind the last checkpoint, as a run has it that was killed.
    assert max(step for step, *_ in scalars(first)) == 6
    (before,) = wandb.values()
    assert sorted(before["steps"]) == [2, 4, 6] and before["ended"] == [1]

    train(tmp_path, "tensorboard", "wandb")
    found = scalars(tensorboard(tmp_path))
    assert_same(found, logged(tmp_path))
    assert len({row[:2] for row in found}) == len(found)
    (kept,) = wandb.values()
    assert sorted(kept["steps"]) == [2, 4, 6, 8] and kept["ended"] == [1, 0]
    assert {options["resume"] for options in kept["options"]} == {"allow"}


def test_a_tracker_that_comes_later_gets_all_steps(tmp_path, tensorboard, wandb):
    with pytest.raises(ChildProcessError):
        train(tmp_path, steps=5)
    train(tmp_path, "tensorboard", "wandb")
    assert_same(scalars(tensorboard(tmp_path)), logged(tmp_path))
    (kept,) = wandb.values()
    found = [(s, n, v) for s, line in kept["steps"].items() for n, v in line.items()]
    assert_same(sorted(found), sorted(logged(tmp_path)))
    assert kept["options"][0]["config"] == SETTINGS
    assert kept["options"][0]["project"] == "gpsattn_jax"


def test_pictures_of_a_report_are_there_once(tmp_path, tensorboard, wandb):
    picture = tmp_path / "mistakes.png"
    picture.write_bytes(PNG)
    for _ in range(2):
        with trackers.open_trackers(
            ["tensorboard", "wandb"], tmp_path, SETTINGS, part="report"
        ) as opened:
            for tracker in opened:
                tracker.add_pictures(8, {"Mistakes": picture})
    events = tensorboard(tmp_path, "report")
    images = [(e.step, v) for e in events for v in e.summary.value if v.image.width]
    ((step, value),) = images
    assert (step, value.tag, value.image.width, value.image.height) == (
        8, "Mistakes", 3, 2
    )  # fmt: skip
    assert value.image.encoded_image_string == PNG
    (kept,) = wandb.values()
    assert kept["steps"][0] == {"Mistakes": ("image", str(picture))}


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("tensorboard", "tensorboardX", r"pip install 'gpsattn-jax\[tensorboard\]'"),
        ("wandb", "wandb", "pip install wandb"),
    ],
)
def test_a_package_that_is_missing_is_named(
    tmp_path, monkeypatch, name, package, command
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{package} is not .*{command}"):
        train(tmp_path, name)
    assert not (tmp_path / "metrics.jsonl").exists()
