"""StableHLO artefacts: a network with its weights in a file that runs without our code.

`jax.export.deserialize(content).call(images)` is all that a user of the file needs: JAX
and flatbuffers, nothing of this package. What goes in and what comes out stands in a
`.json` of the same name beside it.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import export as jax_export

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.files import replaced
from gpsattn_jax.systems.export.artefacts import WRITTEN, need_flatbuffers

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


@dataclasses.dataclass(frozen=True)
class Model:
    """A network in evaluation with its weights inside.

    Attributes:
        forward: (**inputs [B, …]) -> an array [B, …] or a tree of them. No example may
            depend on another one of its batch.
        inputs: shape and dtype of each input by name, in the order of the artefact's
            arguments; arrays or `jax.ShapeDtypeStruct`, whose first axis is the batch.
        metadata: what a user of the artefact should know, as JSON values.
        highest: values of integer inputs by name, where they may exceed 1.
    """

    forward: Callable[..., Any]
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    highest: Mapping[str, int] = dataclasses.field(default_factory=dict)


def network_model(
    network: Any,
    params: dict,
    state: dict,
    inputs: Mapping[str, Any],
    metadata: Mapping[str, Any],
) -> Model:
    """Any network of ours as evaluation calls it, `apply(params, state, **inputs)`.

    `inputs` and `metadata` are those of `Model`.
    """
    # On the host: arrays on a mesh would tie the artefact to as many devices.
    params, state = jax.device_get((params, state))

    def forward(**inputs):
        weights = jax.tree.map(jnp.asarray, (params, state))
        outputs, _ = network.apply(*weights, **inputs)
        return outputs

    return Model(forward, inputs, metadata)


def export(
    model: Model,
    path: str | os.PathLike,
    *,
    platforms: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Writes an artefact for any batch size, and its description beside it.

    One example is traced and mapped over a symbolic batch: what a network chooses by
    its batch size, it chooses as for a batch of one. What it chooses by the backend, it
    chooses as on this machine, for other platforms too; their outputs are the same, but
    an artefact made where it will run may be faster.

    JAX promises that artefacts are read by versions up to half a year newer, and not by
    older ones.

    Args:
        model: what to export.
        path: a `.stablehlo`; the description is the `.json` of the same name. Each
            appears whole or not at all; `artefacts.load` sees whether they belong
            together.
        platforms: of `PLATFORMS`; None is the one that JAX uses here.

    Returns:
        The description: the model's metadata; inputs and outputs with shapes and
        dtypes; platforms; JAX's version; the artefact's size and SHA-256.

    Raises:
        ImportError: without flatbuffers.
        ValueError: if the path or a platform does not fit.
    """
    path = pathlib.Path(path)
    if path.suffix != ".stablehlo":
        raise ValueError(f"{path}: artefacts are written as .stablehlo.")
    for platform in platforms or ():
        if platform not in PLATFORMS:
            raise ValueError(
                f"platforms must be of {', '.join(PLATFORMS)}; got {platform!r}."
            )
    need_flatbuffers()
    forward, shapes = over_a_batch(model)
    exported = jax_export.export(jax.jit(forward), platforms=platforms)(*shapes)
    content = bytes(exported.serialize())
    description = _description(model, exported, content)
    with replaced(path) as artefact, replaced(path.with_suffix(".json")) as beside:
        artefact.write_bytes(content)
        beside.write_text(json.dumps(description, indent=2) + "\n")
    WRITTEN.add(description["sha256"])
    return description


def over_a_batch(model: Model) -> tuple[Callable[..., Any], list[Any]]:
    """One example, mapped over a batch b >= 1: no network divides by a symbolic b.

    Args:
        model: what to export.

    Returns:
        (a function of the model's inputs in their order, their shapes [b, …]).
    """

    @jax.vmap
    def forward(*example):
        arrays = (array[None] for array in example)
        outputs = model.forward(**dict(zip(model.inputs, arrays, strict=True)))
        return jax.tree.map(lambda output: output[0], outputs)

    (batch,) = jax_export.symbolic_shape("b")
    shapes = [
        jax.ShapeDtypeStruct((batch, *wanted.shape[1:]), wanted.dtype)
        for wanted in model.inputs.values()
    ]
    return forward, shapes


def describe_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Shapes [b, …] and dtypes by name, as JSON values; "" is named "outputs"."""
    return {
        name or "outputs": {"shape": ["b", *array.shape[1:]], "dtype": array.dtype.name}
        for name, array in arrays.items()
    }


def _description(model, exported, content):
    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    return {
        **model.metadata,
        "inputs": describe_arrays(model.inputs),
        "outputs": describe_arrays(flatten(outputs)),
        "platforms": exported.platforms,
        "jax": jax.__version__,
        "calling_convention": exported.calling_convention_version,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def output_shapes(model: Model) -> dict[str, Any]:
    """Shapes and dtypes of the outputs by name, for a batch of one."""
    return flatten(jax.eval_shape(lambda inputs: model.forward(**inputs), model.inputs))
