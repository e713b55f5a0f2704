"""What trained GPS-Nets make of their parts: test accuracy with each of them silenced.

Nothing is trained. The networks are those of the package; the attention between joints
is looked at on some test clips, as it is and without structural codes.
"""

import dataclasses

import jax
import numpy as np

from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.evaluation.classification import accuracy
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gpsnet.pictures import attention_maps

NETWORKS = (
    "gpsnet-jhmdb14", "gpsnet-utkinect", "gpsnet-florence3d", "gpsnet-nw_ucla",
)  # fmt: skip
LOOKED_AT = 24  # clips
HEAD = (
    "network", "as it is, %", "codes 0", "bias 0", "attention of joints off",
    "of channels off", "entropy of a joint's weights / log V, by block",
    "weight that codes move, by block", "size of codes, by block",
)  # fmt: skip


def rows(seconds: float):
    """A row for each network; time is not measured."""
    del seconds
    for name in NETWORKS:
        yield row(name, gpsnet.restore(name))


def row(name, run):
    """Accuracies on all test clips, then what the blocks look at."""
    clips = load_parts(run.config.data)["test"]
    silent = (
        run,
        silenced(run, "codes"),
        silenced(run, "spatial", "bias"),
        silenced(run, "spatial", "out"),
        silenced(run, "channel", "out"),
    )
    shares = [
        accuracy(gpsnet.probabilities(one, clips), clips.labels) for one in silent
    ]
    places = np.arange(min(LOOKED_AT, len(clips)))
    maps, without = (attention_maps(one, clips, places)[0] for one in silent[:2])
    both = list(zip(maps["spatial"], without["spatial"], strict=True))
    moved = [np.abs(own - other).sum(-1).mean() / 2 for own, other in both]
    codes = [np.asarray(block["codes"]) for block in run.params["blocks"].values()]
    return (
        name,
        *(f"{100 * share:.1f}" for share in shares),
        numbers(evenness(own) for own, _ in both),
        numbers(moved),
        numbers(np.sqrt(np.square(code).mean()) for code in codes),
    )


def silenced(run, *path):
    """The run with the arrays at a path of every block set to zero."""
    params = jax.tree.map(np.array, run.params)
    for block in params["blocks"].values():
        part = block
        for name in path:
            part = part[name]
        for leaf in jax.tree.leaves(part):
            leaf[...] = 0
    return dataclasses.replace(run, params=params)


def evenness(weights):
    """Mean entropy of weights [..., V], divided by its greatest value, log V."""
    entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum(-1)
    return entropy.mean() / np.log(weights.shape[-1])


def numbers(values):
    """Of the blocks, in their order."""
    return ", ".join(f"{value:.2f}" for value in values)
