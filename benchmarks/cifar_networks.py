"""What a training step takes of each network in CIFAR-100's table: docs/results.md."""

import dataclasses
from collections.abc import Iterator

import jax

from benchmarks import steps, timing
from benchmarks.gsa_module import megabytes
from gpsattn_jax.models.gsanet import Config
from gpsattn_jax.modules.mixers import MIXERS
from gpsattn_jax.systems.gsanet.setups import SETUPS
from gpsattn_jax.training.config import TrainConfig

HEAD = ("network", "parameters", "step ms", "temp MiB", *timing.COLUMNS)


def networks(model: Config) -> dict[str, Config]:
    """By the flags that the table has: all mixers, and what is left out of GSA."""
    changes = {
        f"--model.mixers={name},{name}": {"mixers": (name, name)} for name in MIXERS
    } | {
        "--nomodel.balanced": {"balanced": False},
        "--model.query_softmax": {"query_softmax": True},
        "--nomodel.column --nomodel.row": {"column": False, "row": False},
        "--nomodel.content": {"content": False},
        "--model.mixers=conv,conv --model.widths=28,54": {
            "mixers": ("conv", "conv"),
            "widths": (28, 54),
        },
    }
    return {
        flags: dataclasses.replace(model, **change) for flags, change in changes.items()
    }


def rows(seconds: float) -> Iterator[tuple[str, ...]]:
    """A row for each network; their steps take turns."""
    setup = SETUPS["cifar100_patches"]
    found = networks(dataclasses.replace(setup.model, num_classes=100))
    steps_of = {flags: Step(model, setup.train) for flags, model in found.items()}
    costs = timing.costs(
        {flags: step.take for flags, step in steps_of.items()} | timing.matmul(),
        seconds=seconds * len(found),
    )
    for flags, step in steps_of.items():
        yield (
            f"`{flags}`",
            f"{step.parameters:,}",
            f"{costs[flags].ms:.1f}",
            f"{megabytes(step.compiled):.1f}",
            *timing.columns(costs, flags),
        )


class Step:
    """A network's training step, compiled, with a state of its own."""

    def __init__(self, model: Config, config: TrainConfig):
        self.key = jax.random.key(0)
        self.state = steps.make_state(model, config)
        self.parameters = sum(x.size for x in jax.tree.leaves(self.state.params))
        self.batch = jax.device_put(steps.made_up_batch(model, config.batch_size))
        step = steps.make_step(model, config)
        self.compiled = step.lower(self.state, self.batch, self.key).compile()

    def take(self) -> None:
        """Takes a step and waits for it."""
        self.state, metrics = self.compiled(self.state, self.batch, self.key)
        jax.block_until_ready((self.state, metrics))
