"""What a training step takes of each network in CIFAR-100's table: docs/results.md."""

import dataclasses
from collections.abc import Iterator

from benchmarks import steps, timing
from gpsattn_jax.models.gsanet import Config
from gpsattn_jax.modules.mixers import MIXERS
from gpsattn_jax.systems.gsanet.setups import SETUPS

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
    batch = steps.made_up_batch(setup.model, setup.train.batch_size)
    steps_of = {
        flags: steps.Step(model, setup.train, batch)
        for flags, model in networks(setup.model).items()
    }
    costs = timing.costs(
        {flags: step.take for flags, step in steps_of.items()} | timing.matmul(),
        seconds=seconds * len(steps_of),
    )
    for flags, step in steps_of.items():
        yield (
            f"`{flags}`",
            f"{step.parameters:,}",
            f"{costs[flags].ms:.1f}",
            f"{timing.megabytes(step.compiled):.1f}",
            *timing.columns(costs, flags),
        )
