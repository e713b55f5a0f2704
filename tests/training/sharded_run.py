"""What `sharding_test.py` runs in processes with other numbers of devices."""

import argparse
import dataclasses
import functools

import jax
import numpy as np

from gpsattn_jax.data.batches import Arrays, Batches, in_order
from gpsattn_jax.models import gsanet
from gpsattn_jax.training import Machine, TrainConfig, fit
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.predict import predict
from gpsattn_jax.training.sharding import place
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step

NETWORK = gsanet.build(
    gsanet.Config(
        layers=(2,),
        widths=(8,),
        expansion=2,
        mixers=("gsa",),
        num_heads=4,
        image_size=8,
        stem="small",
        in_channels=1,
        num_classes=3,
        balanced=False,
    )
)
CONFIG = TrainConfig(
    num_steps=4, batch_size=8, warmup_steps=0, log_every=1, evaluate_every=2
)
MESHES = (
    ("data:8", "tensor"),
    ("data:4,model:2", "tensor"),
    ("data:4,model:2", "fsdp"),
)


def source(examples):
    draw = np.random.default_rng(0)
    return Arrays(
        {"images": draw.normal(size=(examples, 8, 8, 1)).astype(np.float32)},
        {"label": draw.integers(0, 3, examples).astype(np.int32)},
    )


def train(workdir, machine, steps):
    """A run by `fit`; the network's outputs for 11 examples are its score."""
    placement = place(machine)
    rows = placement.rows(CONFIG.batch_size)
    print(f"rows {rows.start}:{rows.stop} of {CONFIG.batch_size}")
    batches = Batches(source(30), batch_size=8, seed=0, rows=rows)

    @jax.jit
    def forward(params, state, inputs):
        return NETWORK.apply(params, state, **inputs)[0]

    def evaluate(params, state):
        outputs = predict(
            forward, params, state, in_order(source(11), 8, rows), placement
        )
        print(f"examples scored {len(outputs)}")
        return {"accuracy": float(np.tanh(outputs).sum())}

    config = dataclasses.replace(
        CONFIG,
        num_steps=max(steps, 4),
        evaluate_every=min(steps, 2),
        optimizer="sgd",  # Adam's quotients would magnify what is rounding alone
        learning_rate=0.05,
    )
    if steps < 4:  # stop as Ctrl-C does
        batches = StoppedAt(batches, steps)
    try:
        fit(
            NETWORK,
            cross_entropy(),
            batches,
            evaluate,
            config,
            workdir,
            machine=machine,
        )
    except KeyboardInterrupt as stop:
        print(stop)


class StoppedAt:
    """Batches that ask for an end at a step."""

    def __init__(self, batches, step):
        self._batches, self._step = batches, step
        self.position = batches.position

    def __call__(self, step):
        if step == self._step - 1:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)
        return self._batches(step)


def weights(workdir):
    """Parameters and statistics of the last checkpoint, on the host."""
    with Checkpoints(f"{workdir}/checkpoints", read_only=True) as checkpoints:
        shapes = place().shapes(NETWORK.shapes())
        return jax.device_get(checkpoints.restore_weights(4, *shapes))


def difference(left, right):
    """The largest difference of two trees, in shares of each array's largest value."""

    def worst(a, b):
        return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-6))

    return max(jax.tree.leaves(jax.tree.map(worst, left, right)))


def step_of(config, optimizer):
    """(state, batch, key) -> (state, metrics), not compiled."""
    return functools.partial(
        train_step,
        network=NETWORK,
        loss=cross_entropy(),
        optimizer=optimizer,
        config=config,
    )


def compare():
    """One step on several meshes against a step on one device."""
    optimizer = make_optimizer(CONFIG)
    key = jax.random.key(0)
    step = step_of(CONFIG, optimizer)
    start = init_state(NETWORK, optimizer, key)
    batch = Batches(source(30), batch_size=8, seed=0)(0)
    plain = jax.device_get(jax.jit(step)(start, batch, key))
    for mesh, sharding in MESHES:
        placement = place(Machine(mesh=mesh, sharding=sharding))
        shardings = placement.shardings(start)
        split = jax.device_put(start, shardings)
        found = jax.jit(step, out_shardings=(shardings, None))(
            split, placement.put(batch), key
        )
        kernel = found[0].params["blocks"]["1-1"]["mix"]["query"]["kernel"]
        moment = found[0].opt_state[1][0].mu["blocks"]["1-1"]["mix"]["query"]["kernel"]
        assert kernel.sharding == moment.sharding
        assert kernel.sharding.is_fully_replicated == (mesh == "data:8")
        # Adam divides by the gradient's size: where that is rounding alone, so is the
        # quotient. What it divides is compared.
        for part in ("model_state", "opt_state"):
            worst = difference(
                jax.device_get(getattr(found[0], part)), getattr(plain[0], part)
            )
            assert worst < 1e-5, (mesh, sharding, part, worst)
        assert difference(jax.device_get(found[1]), plain[1]) < 1e-5
        print(f"{mesh} {sharding} agrees")


def compare_in_float64():
    """Prints the largest difference of four SGD steps on four devices and on one."""
    jax.config.update("jax_enable_x64", True)
    config = dataclasses.replace(CONFIG, optimizer="sgd", learning_rate=0.05)
    optimizer, key = make_optimizer(config), jax.random.key(0)
    step = step_of(config, optimizer)

    def widened(tree):
        return jax.tree.map(
            lambda x: x.astype("float64") if x.dtype == "float32" else x, tree
        )

    first = widened(init_state(NETWORK, optimizer, key))
    batches = Batches(source(30), batch_size=8, seed=0)
    placement = place(Machine(mesh="data:4"))
    shardings = placement.shardings(first)
    split, plain = jax.device_put(first, shardings), first
    on_one = jax.jit(step)
    on_four = jax.jit(step, out_shardings=(shardings, None))
    for number in range(4):
        batch = widened(batches(number))
        split, _ = on_four(split, placement.put(batch), key)
        plain, _ = on_one(plain, batch, key)
    found, wanted = (
        jax.device_get((state.params, state.model_state)) for state in (split, plain)
    )
    assert all(x.dtype == np.float64 for x in jax.tree.leaves(found))
    print(difference(found, wanted))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["compare", "exact", "train", "difference"])
    parser.add_argument("workdir")
    parser.add_argument("other", nargs="?")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--mesh", default="")
    parser.add_argument("--coordinator", default="")
    parser.add_argument("--process_id", type=int, default=0)
    given = parser.parse_args()
    if given.job == "compare":
        compare()
    elif given.job == "exact":
        compare_in_float64()
    elif given.job == "difference":
        print(difference(weights(given.workdir), weights(given.other)))
    else:
        kind = "manual" if given.coordinator else "off"
        train(
            given.workdir,
            Machine(
                mesh=given.mesh,
                distributed=kind,
                coordinator=given.coordinator,
                num_processes=2 if given.coordinator else 1,
                process_id=given.process_id,
            ),
            given.steps,
        )
