"""A network's parameters, operations and shapes; nothing is computed."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from absl import flags

from gpsattn_jax import config_flags, convert, models
from gpsattn_jax.convert.rewrite import config_of
from gpsattn_jax.flops import count_in
from gpsattn_jax.models import semantic_fpn
from gpsattn_jax.systems import named_networks, runs
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
A network's parameters, operations and shapes; nothing is computed.

  PROGRAM transxnet-tiny --size=224
  PROGRAM gpsnet-base --size=64
  PROGRAM gsanet-digits
  PROGRAM weights.safetensors

NAME is a network and its variant, a name of `gpsattn pretrained`, or a file of
weights. Without it all names are listed. Operations are those of matmuls and
convolutions for one example, as papers count them.""",
    words=("name",),
    main=("size", "json"),
)
Arrays = dict[str, jax.ShapeDtypeStruct]


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    flags.DEFINE_string("name", None, "Of a network, or a file of its weights.")
    flags.DEFINE_integer(
        "size", None,
        "Of the input: pixels of a side; frames of a clip (64 by default); steps of a "
        "video (320).",
        lower_bound=1,
    )  # fmt: skip
    flags.DEFINE_bool("json", False, "The same as JSON.")
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _main(given):
    """Prints what is known of a network, or the names."""
    if given.name is None:
        print("\n".join([*_variants(), *named_networks.available()]))
        return
    found = describe(*find_config(given.name), given.size)
    if given.json:
        print(json.dumps({"name": given.name} | found))
    else:
        print("\n".join([given.name, *_lines(found)]))


def find_config(name: str) -> tuple[str, Any]:
    """What a name stands for: (one of `models.__all__`, the network's config).

    Args:
        name: of a variant, such as transxnet-tiny, of a network that comes with the
            package, or of a file of weights.

    Raises:
        FileNotFoundError: if it is none of these; offers the nearest.
    """
    variants = _variants()
    if name in variants:
        system, variant = variants[name]
        return system, getattr(models, system).VARIANTS[variant]
    try:
        system = runs.find_system(name)
    except FileNotFoundError as error:
        near = config_flags.nearest(name, [*variants, *named_networks.available()])
        offer = f" Did you mean {' or '.join(near)}?" if near else ""
        raise FileNotFoundError(
            f"{name}: no file, and no network of that name.{offer}"
        ) from error
    config = config_of(convert.load(system, named_networks.find(name))[0])
    return {"segmentation": "semantic_fpn"}.get(system, system), config


def describe(system: str, config: Any, size: int | None = None) -> dict[str, Any]:
    """A network's parameters, operations of one example, and shapes.

    Args:
        system: one of `models.__all__`.
        config: of the network.
        size: of the input: pixels of a side, frames or steps; the config's or a common
            one by default.

    Returns:
        input, output, stages: shapes, of one example each; parameters: how many;
        parts: of these, by the network's parts; multiply_adds, flops.
    """
    if size is not None and hasattr(config, "image_size"):
        config = _resized(config, size)
    inputs = _INPUTS[system](config, size)
    params, output, flops = _trace(system, config, inputs)
    stages = []
    if hasattr(config, "features_only"):
        maps = dataclasses.replace(config, features_only=True)
        _, stages, _ = _trace(system, maps, inputs)
    parts = {name: _count(part) for name, part in params.items()}
    return {
        "input": {name: list(array.shape) for name, array in inputs.items()},
        "output": _shapes(output)[0],
        "stages": _shapes(stages),
        "parameters": sum(parts.values()),
        "parts": parts,
        "multiply_adds": flops // 2,
        "flops": flops,
    }


def _resized(config, size):
    if isinstance(config, semantic_fpn.Config):
        maps = dataclasses.replace(config.maps, image_size=size)
        return dataclasses.replace(config, **{config.backbone: maps})
    return dataclasses.replace(config, image_size=size)


def _variants() -> dict[str, tuple[str, str]]:
    """(network, variant) by name."""
    return {
        f"{system}-{variant}": (system, variant)
        for system in models.__all__
        for variant in getattr(models, system).VARIANTS
    }


def _trace(system, config, inputs):
    """(shapes of the parameters, of the output, FLOPs)."""
    network = getattr(models, system).build(config)
    params, state = network.shapes()

    def forward(params, state, inputs):
        return network.apply(params, state, **inputs)[0]

    trace = jax.make_jaxpr(forward, return_shape=True)
    traced, output = trace(params, state, inputs)
    return params, output, count_in(traced)


def _images(config: Any, size: int | None) -> Arrays:
    del size  # it is the config's by now
    side = config.image_size
    shape = 1, side, side, config.in_channels
    return {"images": jax.ShapeDtypeStruct(shape, jnp.float32)}


def _clips(config: Any, size: int | None) -> Arrays:
    shape = 1, 1, size or 64, config.num_joints, config.in_channels
    return {"joints": jax.ShapeDtypeStruct(shape, jnp.float32)}


def _features(config: Any, size: int | None) -> Arrays:
    shape = 1, size or 320, config.input_size
    return {"features": jax.ShapeDtypeStruct(shape, jnp.float32)}


_INPUTS: dict[str, Callable[[Any, int | None], Arrays]] = {
    "efficientnet_lite": _images,
    "gpsnet": _clips,
    "gsanet": _images,
    "pglsum": _features,
    "semantic_fpn": _images,
    "transxnet": _images,
}


def _count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def _shapes(tree):
    return [list(leaf.shape) for leaf in jax.tree.leaves(tree)]


def _lines(found):
    for name, shape in found["input"].items():
        yield f"  {'input ' + name:<18}{_by(shape)}"
    for place, shape in enumerate(found["stages"], 1):
        yield f"  {f'map {place}':<18}{_by(shape)}"
    yield f"  {'output':<18}{_by(found['output'])}"
    count = found["parameters"]
    yield f"  {'parameters':<18}{count:,} ({4 * count / 2**20:.1f} MiB in float32)"
    for name, part in found["parts"].items():
        yield f"    {name:<16}{part:,}"
    giga = found["multiply_adds"] / 1e9
    yield f"  {'multiply-adds':<18}{giga:,.3f} G ({2 * giga:,.3f} GFLOP)"


def _by(shape):
    return " x ".join(map(str, shape))
