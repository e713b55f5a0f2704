"""Steps that are not finite: skipped and counted, or told with batch and layer."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax.training import Machine, TrainConfig, fit
from gpsattn_jax.training.backward_order import backward_order
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import learning_rate_schedule
from tests.training.fit_test import CONFIG, NETWORK, Data, assert_same_bits, run

SKIPPING = dataclasses.replace(CONFIG, skip_nonfinite=2, log_every=1, warmup_steps=10)


class Spoiled(Data):
    """Batches of which some are not numbers."""

    def __init__(self, *steps, **options):
        super().__init__(**options)
        self._steps = steps

    def __call__(self, step):
        batch = super().__call__(step)
        if step in self._steps:
            batch["inputs"]["x"] = batch["inputs"]["x"] * np.nan
        return batch


def train(workdir, config, *steps, network=NETWORK, **options):
    def evaluate(params, state):
        return {"accuracy": 0.5}

    batches = options.pop("batches", None) or Spoiled(*steps, **options)
    return fit(network, cross_entropy(0.1), batches, evaluate, config, workdir)


def state_at(workdir, step, state):
    with open_checkpoints(workdir) as checkpoints:
        return checkpoints.restore(step, jax.eval_shape(lambda: state))[0]


def test_a_skipped_step_leaves_all_as_it_was(tmp_path):
    """Weights, moments, averages, statistics; but the next step has the next batch."""
    config = dataclasses.replace(
        SKIPPING, num_steps=9, evaluate_every=1, keep_latest=9, ema_decay=0.9
    )
    end = train(tmp_path, config, 4, 5)
    before, first, second, after = (state_at(tmp_path, n, end) for n in (4, 5, 6, 7))
    for skipped, in_all in ((first, 1), (second, 2)):
        for part in ("params", "model_state", "opt_state", "ema"):
            assert_same_bits(getattr(skipped, part), getattr(before, part))
        assert int(skipped.skipped["in_all"]) == in_all
        assert int(skipped.skipped["in_a_row"]) == in_all
    assert int(first.step) == 5
    assert not np.array_equal(
        after.params["head"]["kernel"], before.params["head"]["kernel"]
    )
    assert jax.tree.map(int, end.skipped) == {"in_all": 2, "in_a_row": 0}


def test_it_is_told_in_the_log_and_the_learning_rate_waits(tmp_path, capsys):
    train(tmp_path, SKIPPING, 4, 5, 12)
    told = capsys.readouterr().err
    assert "Step 6 is skipped, not finite: {" in told
    assert "2 in a row, 2 in all (train.skip_nonfinite=2)" in told
    assert "skipped 3" in told
    lines = {n["step"]: n for n in read_metrics(tmp_path) if "learning_rate" in n}
    assert [lines[n]["skipped"] for n in (4, 5, 6, 7, 13)] == [0, 1, 2, 2, 3]
    assert "loss" not in lines[5] and "loss" in lines[7]
    schedule = learning_rate_schedule(SKIPPING)
    for step, done in ((4, 3), (5, 4), (6, 4), (7, 4), (8, 5), (14, 10)):
        assert lines[step]["learning_rate"] == pytest.approx(float(schedule(done)))


def test_the_optimizer_has_the_learning_rate_that_is_logged(tmp_path):
    """A run that skips two steps makes the updates of one whose batches lack them."""

    class Without(Data):
        def __call__(self, step):
            return super().__call__(step if step < 4 else step + 2)

    found = train(tmp_path / "skips", SKIPPING, 4, 5)
    config = dataclasses.replace(SKIPPING, num_steps=18)
    longer = dataclasses.replace(config, schedule="constant")
    assert int(found.opt_state[1][0].count) == 18
    both = [
        train(tmp_path / name, longer, *spoiled, batches=batches)
        for name, spoiled, batches in (("a", (4, 5), None), ("b", (), Without()))
    ]
    count = both[0].opt_state[1][0].count
    assert int(count) == 16 and int(both[1].opt_state[1][0].count) == 18
    short = dataclasses.replace(longer, num_steps=16)
    wanted = train(tmp_path / "c", short, batches=Without())
    assert_same_bits(both[0].params, wanted.params)


@pytest.mark.filterwarnings("ignore")
def test_the_counters_survive_a_stop(tmp_path):
    straight = train(tmp_path / "straight", SKIPPING, 4, 5, 9, 10)
    with pytest.raises(KeyboardInterrupt, match="Stopped after step 10"):
        train(tmp_path / "stopped", SKIPPING, 4, 5, 9, 10, signal_at=9)
    resumed = train(tmp_path / "stopped", SKIPPING, 4, 5, 9, 10)
    assert_same_bits(straight, resumed)
    assert int(resumed.skipped["in_all"]) == 4


@pytest.mark.filterwarnings("ignore")
def test_a_row_that_a_stop_divides_is_one_row(tmp_path):
    spoiled = (8, 9, 10)
    with pytest.raises(KeyboardInterrupt, match="Stopped after step 10"):
        train(tmp_path, SKIPPING, *spoiled, signal_at=9)
    with pytest.raises(FloatingPointError, match="step 11.* number 3 in a row"):
        train(tmp_path, SKIPPING, *spoiled)
    more = dataclasses.replace(SKIPPING, skip_nonfinite=3)
    assert int(train(tmp_path, more, *spoiled).skipped["in_all"]) == 3


@pytest.mark.filterwarnings("ignore")
def test_a_run_may_begin_to_skip_and_stop_it(tmp_path):
    with pytest.raises(FloatingPointError, match="step 8"):
        train(tmp_path, dataclasses.replace(SKIPPING, skip_nonfinite=0), 7)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, SKIPPING, 7, signal_at=9)
    end = train(tmp_path, dataclasses.replace(SKIPPING, skip_nonfinite=0))
    assert jax.tree.map(int, end.skipped) == {"in_all": 1, "in_a_row": 0}
    rates = {n["step"]: n.get("learning_rate") for n in read_metrics(tmp_path)}
    assert rates[14] == pytest.approx(float(learning_rate_schedule(SKIPPING)(12)))


def test_a_run_that_skips_nothing_has_no_counters(tmp_path):
    assert train(tmp_path, CONFIG).skipped is None
    assert not (tmp_path / "checkpoints" / "20" / "skipped").exists()
    assert not any("skipped" in line for line in read_metrics(tmp_path))


def test_more_than_so_many_in_a_row_stop_the_run(tmp_path):
    with pytest.raises(FloatingPointError, match="Not finite at step 10: .*3 in a row"):
        train(tmp_path, SKIPPING, 2, 4, 5, 7, 8, 9)
    with open_checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 5


# What is told without it.


class Deep:
    """Three layers, blocks 1 and 2 in a stack; some inputs spoil a gradient alone."""

    def __init__(self, bad):
        self._bad = bad

    def init(self, key):
        shape = (6, 6)
        draw = jax.random.normal
        return {
            "blocks": {
                "0": {"kernel": draw(key, shape), "scale": jnp.ones(6)},
                "1-2": {"kernel": draw(key, (2, *shape)), "scale": jnp.ones((2, 6))},
            },
            "head": {"kernel": draw(key, (6, 3))},
        }, {}

    def apply(self, params, state, *, x, train=False, rng=None):
        spoil = x[:, :1] > 50  # such a row has a root of zero, whose slope is infinite
        x = jnp.minimum(x, 1.0)
        blocks = [params["blocks"]["0"]]
        pair = params["blocks"]["1-2"]
        blocks += [jax.tree.map(lambda a, i=i: a[i], pair) for i in range(2)]
        for number, block in enumerate(blocks):
            x = jnp.tanh(x @ block["kernel"]) * block["scale"][None]
            if number == self._bad:
                nothing = jnp.where(spoil, 0.0, 1.0) * jnp.square(x)
                x = x + jnp.where(spoil, 1.0, 0.0) * jnp.sqrt(nothing)
        return x @ params["head"]["kernel"], state


class Marked(Data):
    """The batch of a step has a row that spoils the gradient."""

    def __call__(self, step):
        batch = super().__call__(step)
        if step == 7:
            batch["inputs"]["x"][3, 0] = 99.0
        return batch


@pytest.mark.parametrize(
    ("bad", "name", "count"),
    [(2, "blocks/2/scale", 6), (1, "blocks/1/scale", 4), (0, "blocks/0/scale", 2)],
)
@pytest.mark.parametrize("change", [{}, {"precision": "bfloat16"}, {"accumulate": 2}])
def test_the_first_layer_from_the_loss_down_is_named(
    tmp_path, bad, name, count, change
):
    config = dataclasses.replace(CONFIG, clip_norm=0.0, **change)
    with pytest.raises(FloatingPointError) as error:
        train(tmp_path, config, network=Deep(bad), batches=Marked())
    said = str(error.value)
    assert "'loss': nan" not in said and "'grad_norm': nan" in said
    assert f"is that of {name} ({count} of 7 parameters have such a one)" in said


def test_the_batch_and_its_examples_are_named(tmp_path, capsys):
    with pytest.raises(FloatingPointError) as error:
        train(tmp_path, CONFIG, 7)
    said = str(error.value)
    places = Data().examples(7)
    assert len(set(places)) == 8
    assert (
        f"Its batch: epoch 2, batch 1, 8 of 30 examples: {', '.join(places)}." in said
    )
    assert f"Input x is not finite in {', '.join(places)}." in said
    assert "is that of head/" in said and "(3 of 3 parameters" in said
    assert "\n" not in said
    # It was told before the search, which may take its time.
    assert "steps 6 to 8 are done again; Ctrl-C" in capsys.readouterr().err


def test_examples_are_what_the_step_saw():
    batches = Data()
    x = batches(7)["inputs"]["x"]
    every = batches._source.batch(np.arange(30), None)["inputs"]["x"]
    np.testing.assert_array_equal(every[[int(n) for n in batches.examples(7)]], x)


def test_a_search_that_fails_hides_nothing(tmp_path):
    class Once(Spoiled):
        def __call__(self, step):
            if step == 7:
                self.calls = getattr(self, "calls", 0) + 1
                if self.calls > 1:
                    raise OSError("The disk is gone.")
            return super().__call__(step)

    message = "Not finite at step 8: .* could not be found: The disk is gone."
    with pytest.raises(FloatingPointError, match=message):
        train(tmp_path, CONFIG, batches=Once(7))


def test_scores_that_are_not_finite_name_their_step(tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"^Not finite at step 5, evaluated: {'.*}\.$"
    ):
        run(tmp_path, scores=[float("nan")])


def test_the_order_goes_from_the_loss_to_the_input():
    """Blocks one after the other, whether a loop or single products make them."""
    deep = Deep(None)
    params, _ = deep.init(jax.random.key(0))

    def scanned(params, x):
        def body(x, block):
            return jnp.tanh(x @ block["kernel"]) * block["scale"], None

        x = jnp.tanh(x @ params["blocks"]["0"]["kernel"])
        x = x * params["blocks"]["0"]["scale"]
        x, _ = jax.lax.scan(jax.checkpoint(body), x, params["blocks"]["1-2"])
        return (x @ params["head"]["kernel"]).sum()

    def plain(params, x):
        return deep.apply(params, {}, x=x[None])[0].sum()

    for function in (scanned, plain, jax.jit(scanned)):
        order = backward_order(jax.grad(function), params, jnp.ones(6))
        heads = [re.sub(r"/\w+$", "", name) for name in order]
        assert (
            heads == ["head", *["blocks/2"] * 2, *["blocks/1"] * 2] + ["blocks/0"] * 2
        ), order


def test_what_is_not_finite_is_found_on_a_mesh_too(tmp_path):
    machine = Machine(mesh=f"data:{jax.device_count()}")
    with pytest.raises(FloatingPointError, match="is that of head/"):
        run(tmp_path, spoil_at=3, options={"machine": machine})


def test_a_number_of_steps_is_not_negative():
    with pytest.raises(ValueError, match="train.skip_nonfinite must be at least 0"):
        TrainConfig(skip_nonfinite=-1)
