"""TransXNet's golden files in our layout: arrays, weights, weights made from names."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import golden as files
from benchmarks.golden import made_weights
from benchmarks.golden import prefixed as prefixed  # for those who read files here
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.torch_keys import fill, foreign_names, rename
from gpsattn_jax.convert.transxnet_rules import network_rules
from gpsattn_jax.models import transxnet

# Compiling takes most of these tests' time.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def read(golden, name):
    """(arrays by name, the constructor's arguments there)."""
    return files.read("transxnet", name, golden)


def manifest(golden, letter):
    """Names and shapes of a published model's state dict, in its order."""
    return files.manifest(letter, golden)


def channels_last(images):
    return np.moveaxis(images, 1, -1)


def weights(network, rules, arrays):
    """Their arrays -> our (params, state); anything that does not fit raises."""
    renamed, complaints = rename(arrays, rules)
    return fill(network, renamed, complaints, foreign_names(rules))


def mini_config(config, **changes):
    """The config of `mini_model.npz`."""
    arch = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in config["arch"].items()
    }
    fields = {
        "depths": arch["layers"],
        "widths": arch["embed_dims"],
        "kernel_sizes": arch["kernel_size"],
        "num_groups": arch["num_groups"],
        "reductions": arch["sr_ratio"],
        "num_heads": arch["num_heads"],
        "mlp_ratios": arch["mlp_ratios"],
        "layer_scale": arch["layer_scale_init_value"],
        "image_size": config["image_size"],
        "num_classes": config["num_classes"],
        "drop_path": 0.0,
    }
    return transxnet.Config(**(fields | changes))


def names_and_shapes(config):
    """The official state dict's names and shapes for any config."""
    shapes, found = network_shapes(config), {}
    for rule in network_rules(config):
        if rule.path is None:
            found[rule.name] = ()
            continue
        # Of a view of one zero; only its shape is wanted.
        part = rule.back(np.broadcast_to(0.0, shapes[rule.path].shape)).shape
        before = found.get(rule.name)
        if before is not None:  # one entry there is several here
            joined = before[rule.axis] + part[rule.axis]
            part = (*part[: rule.axis], joined, *part[rule.axis + 1 :])
        found[rule.name] = part
    return found


@functools.cache
def network_shapes(config):
    """Shape and dtype of every array of ours by its path.

    From a network of one block in each stage, since the others are like it: tracing the
    start of the base variant takes a quarter of a minute.
    """
    shallow = dataclasses.replace(config, depths=(1,) * len(config.depths))
    found = {}
    for path, leaf in shapes_by_path(shallow).items():
        stage = re.search(r"stages/(\d+)/blocks/", path)
        for block in range(config.depths[int(stage[1])] if stage else 1):
            found[path.replace("/blocks/0/", f"/blocks/{block}/")] = leaf
    return found


def shapes_by_path(config):
    """The same from the network itself."""
    params, state = transxnet.build(config).shapes()
    return flatten({"params": params, "state": state})


def made_network(config):
    """(network, params, state) of such weights; faster than compiling a start."""
    network = transxnet.build(config)
    arrays = made_weights(names_and_shapes(config))
    return network, *weights(network, network_rules(config), arrays)


def error(ours, theirs):
    """The largest difference, relative to the largest value."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


def tree_errors(ours, theirs, floor=0.0):
    """The same of every array by its path, the worst first.

    Args:
        ours: a tree of arrays.
        theirs: likewise.
        floor: share of the tree's largest value below which an array is as if it were
            that large: some gradients are zero, up to rounding.
    """
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(theirs))

    def one(path, a, b):
        scale = max(float(jnp.abs(b).max()), floor * largest, 1e-30)
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        return name, float(np.abs(np.asarray(a) - np.asarray(b)).max()) / scale

    pairs = jax.tree_util.tree_map_with_path(one, ours, theirs)
    pairs = jax.tree.leaves(pairs, is_leaf=lambda leaf: isinstance(leaf, tuple))
    return sorted(pairs, key=lambda pair: -pair[1])
