"""One file of weights as another: what `gpsattn convert` does."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gpsattn_jax import convert
from gpsattn_jax.convert import gsanet as gsanet_names
from gpsattn_jax.convert import pglsum as pglsum_names
from gpsattn_jax.convert import transxnet as transxnet_names
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.models import gpsnet, gsanet, pglsum, semantic_fpn, transxnet

VARIANTS: dict[str, Mapping[str, Any]] = {
    "gpsnet": {},  # its paper's sizes were not available
    "gsanet": gsanet.VARIANTS,
    "pglsum": pglsum.VARIANTS,
    "segmentation": semantic_fpn.VARIANTS,
    "transxnet": transxnet.VARIANTS,
}
# What may be asked of a file beside its form.
OPTIONS: dict[str, tuple[str, ...]] = {
    "gpsnet": (),
    "gsanet": gsanet_names.RESHAPING,
    "pglsum": pglsum_names.OPTIONS,
    "segmentation": ("num_classes",),
    "transxnet": transxnet_names.RESHAPING,
}
# Fields that a network may change and still be the published one.
FREE = {"num_classes", "image_size", "features_only", "drop_path"}
FORMS = ("ours", "torch")


def rewrite(
    system: str,
    source: str | os.PathLike,
    output: str | os.PathLike,
    *,
    to: str = "ours",
    **options: Any,
) -> None:
    """Reads weights and writes them in another form; prints what it found and wrote.

    Args:
        system: a key of `VARIANTS`.
        source: a file that `convert.load` reads.
        output: "ours": a `.safetensors`; "torch": see `convert.save_torch`.
        to: one of `FORMS`.
        **options: of `convert.load`; those of the system in `OPTIONS`.

    Raises:
        ConversionError, FileNotFoundError, ImportError, ValueError: as `convert.load`,
            `convert.save` and `convert.save_torch`.
    """
    unknown = sorted(set(options) - set(OPTIONS[system]))
    if unknown:
        raise ValueError(f"{system} weights do not change {', '.join(unknown)}.")
    network, params, state = convert.load(system, source)
    config = config_of(network)
    print(f"{source}: {describe(system, config, params)}")
    if options:
        before = params
        network, params, state = convert.load(system, source, **options)
        config = config_of(network)
        print(f"Now: {describe(system, config, params)}")
        changed = _changed(before, params)
        if changed:
            print(f"Resized or starting afresh: {', '.join(changed)}.")
    write(system, output, config, params, state, to=to)


def write(
    system: str,
    output: str | os.PathLike,
    config: Any,
    params: dict,
    state: dict,
    *,
    to: str = "ours",
) -> None:
    """Writes weights and prints where.

    Args:
        system: a key of `VARIANTS`.
        output: the file.
        config: of the network.
        params: its parameters.
        state: its batch statistics.
        to: one of `FORMS`, see `rewrite`.

    Raises:
        ValueError: if there is no such form.
    """
    if to not in FORMS:
        raise ValueError(f"to must be one of {', '.join(FORMS)}; got {to!r}.")
    if to == "ours":
        convert.save(output, params, state, config)
        note = f'read it with convert.load("{system}", …)'
    else:
        convert.save_torch(output, system, config, params, state)
        note = "the original's names; counters of batches start at zero"
    size = pathlib.Path(output).stat().st_size
    print(f"Wrote {output}, {size / 1e6:.1f} MB: {note}.")


def config_of(network: Any) -> Any:
    """The config that a network of `convert.load` was built from.

    Raises:
        ValueError: if it is a part of a network.
    """
    if network.config is None:
        raise ValueError("The weights must be a whole network's; they are a part's.")
    return network.config


def describe(system: str, config: Any, params: dict) -> str:
    """The variant's name if published, parameters, what goes in and out, in a line.

    Args:
        system: a key of `VARIANTS`.
        config: of the network.
        params: its parameters.
    """
    names = (name for name in VARIANTS[system] if _is(VARIANTS[system][name], config))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    name = next(names, "no published variant")
    return f"{system}, {name}; {count:,} parameters; {_inputs_outputs(config)}."


def _inputs_outputs(config):
    if isinstance(config, pglsum.Config):
        return (
            f"{config.input_size} features a step; {config.position} positions, "
            f"{config.fusion} fusion"
        )
    if isinstance(config, gpsnet.Config):
        return (
            f"{config.num_joints} joints of {config.in_channels} coordinates, stream "
            f"{config.stream}; {config.num_classes} classes"
        )
    side, gives = config.image_size, f"{config.num_classes} classes"
    if getattr(config, "features_only", False) or not config.num_classes:
        gives = "feature maps" if config.num_classes else "features"
    return f"images of {side} x {side} pixels; {gives}"


def _is(variant, config):
    one, other = dataclasses.asdict(variant), dataclasses.asdict(config)
    return all(one[name] == other[name] for name in one.keys() - FREE)


def _changed(before, after):
    before = flatten(before)
    return [
        path
        for path, leaf in flatten(after).items()
        if path not in before or not np.array_equal(leaf, before[path])
    ]
