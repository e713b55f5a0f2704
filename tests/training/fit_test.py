"""`fit`: resumes to the bit, keeps latest and best, refuses what does not fit."""

import dataclasses
import os
import signal

import jax
import numpy as np
import pytest

from gpsattn_jax.data.batches import Arrays, Batches
from gpsattn_jax.models import gsanet
from gpsattn_jax.training import TrainConfig, fit
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.losses import cross_entropy

NETWORK = gsanet.build(
    gsanet.Config(
        layers=(1, 1),
        widths=(4, 4),
        expansion=2,
        attention=(True, False),
        num_heads=2,
        image_size=4,
        stem="small",
        in_channels=1,
        num_classes=3,
    )
)
LOSS = cross_entropy(0.1)
CONFIG = TrainConfig(num_steps=20, batch_size=8, evaluate_every=5, log_every=3)


class Data(Batches):
    """Random images; sends itself a signal, or spoils a batch, at a given step."""

    def __init__(self, *, signal_at=None, spoil_at=None, examples=30):
        draw = np.random.default_rng(0)
        source = Arrays(
            {"images": draw.normal(size=(examples, 4, 4, 1)).astype(np.float32)},
            {"label": draw.integers(0, 3, examples).astype(np.int32)},
        )
        super().__init__(source, batch_size=8, seed=0)
        self._signal_at, self._spoil_at = signal_at, spoil_at

    def __call__(self, step):
        batch = super().__call__(step)
        if step == self._signal_at:
            os.kill(os.getpid(), signal.SIGINT)
        if step == self._spoil_at:
            batch["inputs"]["images"] = batch["inputs"]["images"] * np.nan
        return batch


def run(workdir, config=CONFIG, scores=(), **data):
    """Trains; the evaluations' accuracies are `scores`, one after the other."""
    pending = list(scores)

    def evaluate(params, state):
        return {"accuracy": pending.pop(0) if pending else 0.5}

    return fit(NETWORK, LOSS, Data(**data), evaluate, config, workdir)


def assert_same_bits(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


@pytest.mark.filterwarnings("ignore")
def test_stopped_and_resumed_run_ends_with_the_same_bits(tmp_path, capsys):
    straight = run(tmp_path / "straight")
    with pytest.raises(KeyboardInterrupt, match="Stopped after step 7"):
        run(tmp_path / "stopped", signal_at=6)
    with open_checkpoints(tmp_path / "stopped") as checkpoints:
        assert checkpoints.latest() == 7
    resumed = run(tmp_path / "stopped")
    assert "Going on from step 7" in capsys.readouterr().err
    assert int(resumed.step) == 20
    assert_same_bits(straight, resumed)


def test_finished_run_is_not_trained_again(tmp_path):
    first = run(tmp_path)
    again = run(tmp_path, spoil_at=0)
    assert_same_bits(first, again)


def test_latest_and_best_checkpoints_are_kept(tmp_path):
    config = dataclasses.replace(CONFIG, keep_latest=1)
    run(tmp_path, config, scores=(0.3, 0.9, 0.4, 0.5))
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [10, 20]
        assert (checkpoints.best(), checkpoints.latest()) == (10, 20)
        params, state = checkpoints.restore_weights(10, *NETWORK.shapes())
    assert jax.tree.structure((params, state)) == jax.tree.structure(NETWORK.shapes())


def test_other_settings_are_refused_by_name(tmp_path):
    run(tmp_path)
    other = dataclasses.replace(CONFIG, learning_rate=0.5, log_every=1)
    with pytest.raises(ValueError, match="train.learning_rate was 0.001, is 0.5") as e:
        run(tmp_path, other)
    assert "log_every" not in str(e.value)


def test_other_data_is_refused(tmp_path):
    run(tmp_path)
    longer = dataclasses.replace(CONFIG)
    with pytest.raises(ValueError, match="data position"):
        run(tmp_path, longer, examples=40)


def test_half_written_checkpoint_is_ignored(tmp_path):
    run(tmp_path)
    folder = tmp_path / "checkpoints" / "25.orbax-checkpoint-tmp-1"
    folder.mkdir()
    (folder / "params").mkdir()
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 20
    run(tmp_path)


def test_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(tmp_path):
    with pytest.raises(FloatingPointError, match="Not finite at step 8"):
        run(tmp_path, spoil_at=7)
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [5]


def test_unknown_best_metric_lists_the_metrics(tmp_path):
    config = dataclasses.replace(CONFIG, best_metric="f_score")
    with pytest.raises(ValueError, match="must be one of accuracy; got 'f_score'"):
        run(tmp_path, config)


def test_logs_hold_every_step_once_after_a_resume(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, signal_at=6)
    run(tmp_path)
    lines = read_metrics(tmp_path)
    steps = [line["step"] for line in lines if "loss" in line]
    assert steps == [3, 6, 9, 12, 15, 18, 20]
    table = (tmp_path / "metrics.csv").read_text().splitlines()
    assert table[0] == "step,metric,value"
    assert sum(line.startswith("20,evaluation/accuracy,") for line in table) == 1


def test_no_checkpoints_is_an_error_naming_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoints"):
        open_checkpoints(tmp_path)


def test_checkpoint_of_another_network_names_the_folder(tmp_path):
    run(tmp_path)
    other = gsanet.build(dataclasses.replace(gsanet.VARIANTS["8px"], num_classes=3))
    with (
        Checkpoints(tmp_path / "checkpoints", read_only=True) as checkpoints,
        pytest.raises(ValueError, match="20 does not fit this network"),
    ):
        checkpoints.restore_weights(20, *other.shapes())


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="train.num_steps must be at least 1; got 0"):
        TrainConfig(num_steps=0)
    with pytest.raises(ValueError, match="label_smoothing"):
        TrainConfig(label_smoothing=1.0)
