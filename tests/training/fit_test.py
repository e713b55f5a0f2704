"""`fit`: resumes to the bit, keeps latest and best, refuses what does not fit."""

import dataclasses
import os
import resource
import signal
import time

import jax
import numpy as np
import pytest

from gpsattn_jax.data.batches import Arrays, Batches
from gpsattn_jax.models import gsanet
from gpsattn_jax.training import Machine, TrainConfig, fit
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.losses import cross_entropy
from tests.training import small
from tests.training.small import Linear

NETWORK = Linear()
LOSS = cross_entropy(0.1)
CONFIG = TrainConfig(num_steps=20, batch_size=8, evaluate_every=5, log_every=3)


class Data(Batches):
    """Random numbers; sends itself a signal, or spoils a batch, at a given step."""

    def __init__(self, *, signal_at=None, spoil_at=None, die_at=None, examples=30):
        super().__init__(Arrays(*small.examples(examples)), batch_size=8, seed=0)
        self._signal_at, self._spoil_at = signal_at, spoil_at
        self._die_at = die_at

    def __call__(self, step):
        if step == self._die_at:
            raise ChildProcessError("A process that makes batches was ended.")
        batch = super().__call__(step)
        if step == self._signal_at:
            os.kill(os.getpid(), signal.SIGINT)
        if step == self._spoil_at:
            batch["inputs"]["x"] = batch["inputs"]["x"] * np.nan
        return batch


def run(workdir, config=CONFIG, scores=(), options=None, network=NETWORK, **data):
    """Trains; the evaluations' accuracies are `scores`, one after the other."""
    pending = list(scores)

    def evaluate(params, state):
        return {"accuracy": pending.pop(0) if pending else 0.5}

    options = {} if options is None else options
    return fit(network, LOSS, Data(**data), evaluate, config, workdir, **options)


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


def test_a_double_press_while_compiling_is_one_and_is_not_lost(tmp_path):
    class Pressed(Linear):
        def apply(self, *arguments, train=False, **options):
            if train and not pressed:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(0.02)
                pressed.append(1)
            return super().apply(*arguments, train=train, **options)

    pressed = []
    with pytest.raises(KeyboardInterrupt, match="Stopped after step 1; the same"):
        run(tmp_path, network=Pressed())
    with open_checkpoints(tmp_path) as checkpoints:
        assert pressed and checkpoints.latest() == 1


def test_the_log_has_each_steps_learning_rate(tmp_path):
    config = dataclasses.replace(CONFIG, warmup_steps=10, learning_rate=0.5)
    run(tmp_path, config)
    rates = {
        line["step"]: line["learning_rate"]
        for line in read_metrics(tmp_path)
        if "learning_rate" in line
    }
    # The first step has 0, the eleventh the highest; a cosine follows.
    assert rates[3] == pytest.approx(0.5 * 2 / 10)
    assert rates[9] == pytest.approx(0.5 * 8 / 10)
    assert rates[15] == pytest.approx(0.25 * (1 + np.cos(np.pi * 4 / 10)))
    assert sorted(rates) == [3, 6, 9, 12, 15, 18, 20]


@pytest.mark.filterwarnings("ignore")
def test_steps_are_saved_before_a_dead_worker_ends_the_run(tmp_path):
    straight = run(tmp_path / "straight")
    for _ in range(2):  # also where nothing was done since
        with pytest.raises(
            ChildProcessError, match="ended. Saved at step 13; the same"
        ):
            run(tmp_path / "killed", die_at=13)
    with open_checkpoints(tmp_path / "killed") as checkpoints:
        assert checkpoints.latest() == 13
    assert_same_bits(straight, run(tmp_path / "killed"))


def test_every_recipe_resumes_to_the_same_bits(tmp_path):
    """Averages, accumulation, low precision, random augmentation, a frozen stem."""

    def shake(batch, key):
        noise = jax.random.normal(key, batch["inputs"]["x"].shape)
        return {**batch, "inputs": {"x": batch["inputs"]["x"] + noise}}

    config = dataclasses.replace(
        CONFIG,
        num_steps=10,
        optimizer="sgd",
        ema_decay=0.9,
        accumulate=2,
        precision="bfloat16",
        frozen=("stem",),
    )
    options = {"augment": shake}
    straight = run(tmp_path / "straight", config, options=options)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", config, options=options, signal_at=6)
    assert_same_bits(straight, run(tmp_path / "stopped", config, options=options))
    other = run(tmp_path / "calm", config)
    assert not np.array_equal(
        straight.params["head"]["kernel"], other.params["head"]["kernel"]
    )


def test_averages_are_evaluated_saved_and_may_choose_the_best(tmp_path):
    config = dataclasses.replace(
        CONFIG, ema_decay=0.5, best_metric="ema/accuracy", keep_latest=1
    )
    scores = (0.9, 0.1, 0.2, 0.8, 0.3, 0.3, 0.4, 0.4)  # plain, average, plain, …
    end = run(tmp_path, config, scores=scores)
    table = (tmp_path / "metrics.csv").read_text()
    assert "10,evaluation/accuracy,0.2" in table
    assert "10,evaluation/ema/accuracy,0.8" in table
    with open_checkpoints(tmp_path) as checkpoints:
        assert (checkpoints.best(), checkpoints.latest()) == (10, 20)
        found = checkpoints.restore_weights(20, *NETWORK.shapes(), averaged=True)
    assert_same_bits(found, (end.ema["params"], end.ema["model_state"]))
    assert not np.array_equal(end.ema["params"]["head"]["kernel"], found[0])


def test_a_run_starts_from_given_weights_and_leaves_them_alone(tmp_path):
    weights = NETWORK.init(jax.random.key(9))
    before = jax.device_get(weights)
    config = dataclasses.replace(CONFIG, num_steps=1, warmup_steps=0)
    config = dataclasses.replace(config, learning_rate=0.0, weight_decay=0.0)
    end = run(tmp_path, config, options={"initial": lambda: weights})
    assert_same_bits(end.params, before[0])
    assert_same_bits(jax.device_get(weights), before)


def test_a_profile_of_some_steps_is_written(tmp_path):
    config = dataclasses.replace(CONFIG, num_steps=4)
    run(tmp_path, config, options={"machine": Machine(profile="1:3")})
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    config = dataclasses.replace(CONFIG, batch_size=8)
    with pytest.raises(ValueError, match="as many places as there are devices, 1; got"):
        run(tmp_path, config, options={"machine": Machine(mesh="data:3")})


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (Machine(mesh="data:1,data:1"), "mesh must name each axis once"),
        (Machine(profile="5:30"), "profile must end by train.num_steps=20; got 5:30"),
        (Machine(distributed="auto"), "distributed=auto: none of the launchers"),
    ],
)
def test_machines_that_do_not_fit_the_run_are_refused(tmp_path, machine, message):
    with pytest.raises((ValueError, OSError), match=message):
        run(tmp_path / "run", options={"machine": machine})
    assert not (tmp_path / "run").exists()


def fill_up(workdir, largest, config):
    """Trains; once there is a checkpoint no file may grow beyond `largest` bytes."""
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Filling(Data):
        def __call__(self, step):
            if step == 8:
                while not (workdir / "checkpoints" / "5").exists():
                    time.sleep(0.01)
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, unlimited[1]))
            return super().__call__(step)

    try:
        fit(NETWORK, LOSS, Filling(), lambda *_: {"accuracy": 0.5}, config, workdir)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)


@pytest.mark.filterwarnings("ignore")  # Orbax's threads end in their own way
def test_a_full_disk_is_told_and_earlier_checkpoints_stay(tmp_path):
    config = dataclasses.replace(CONFIG, log_every=100)
    with pytest.raises(OSError, match="could not be written") as error:
        fill_up(tmp_path, 300, config)
    assert str(tmp_path / "checkpoints") in str(error.value)
    assert "Whole checkpoints: 5" in str(error.value)
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [5]
        checkpoints.restore_weights(5, *NETWORK.shapes())
    assert_same_bits(run(tmp_path), run(tmp_path / "straight"))


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OSError, match="metrics.jsonl: the log could not be written"):
        fill_up(tmp_path, 64, CONFIG)


def test_a_workdir_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        run(tmp_path / "file" / "run")
    with pytest.raises(OSError, match="file"):
        run(tmp_path / "file")


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
    with pytest.raises(
        ValueError, match="begun with 30 examples .* now have 40.*--init_from"
    ):
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
