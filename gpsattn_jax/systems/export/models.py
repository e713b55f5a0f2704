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

from gpsattn_jax import convert
from gpsattn_jax.convert.files import flatten, read
from gpsattn_jax.files import replaced
from gpsattn_jax.systems.export.artefacts import need_flatbuffers
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.run import Classifier, System

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
    """

    forward: Callable[..., Any]
    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any]


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


def classifier_model(classifier: Classifier, metadata: Mapping[str, Any]) -> Model:
    """A trained classifier: images [b, H, W, C], float32 in 0..1 -> probabilities.

    The run's normalisation and the softmax are inside, so that a picture goes in and
    [b, classes] comes out, each row of which sums to one.
    """
    config = classifier.config
    weights = classifier.params, classifier.state
    inputs = _images(config.model.image_size, config.model.in_channels)
    inner = network_model(classifier.network, *weights, inputs, metadata)

    def forward(images):
        images = image_classifier.normalize(config.data, images)
        return jax.nn.softmax(inner.forward(images=images))

    told = {
        "takes": "pictures with values in 0..1; (images - mean) / std happens inside",
        "gives": "probabilities of class_names",
        "class_names": classifier.class_names,
        "mean": config.data.mean,
        "std": config.data.std,
        "step": classifier.step,
    }
    return Model(forward, inputs, {**metadata, **told})


def open_model(
    system: System,
    source: str | os.PathLike,
    *,
    choose: str = "latest",
    averaged: bool = False,
    size: int | None = None,
) -> Model:
    """A run, or a file of weights, as something to export.

    A run gives `classifier_model`. A file knows neither mean nor classes: its network
    takes normalised images [b, size, size, C] and gives logits.

    Args:
        system: which.
        source: a workdir, or a file as `convert.load` reads it.
        choose: of a run: the "latest" checkpoint, or the "best" one.
        averaged: of a run: the moving averages of the weights.
        size: of a file: pixels of a side; the file's own config by default, else 224.

    Raises:
        FileNotFoundError: if there is no such run or file.
        ValueError: if the source is unreadable or another system's, or an option is
            for the other kind of source.
    """
    path = pathlib.Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path}: neither a workdir nor a file of weights.")
    if path.is_dir():
        if size is not None:
            raise ValueError(f"size is for files of weights; {path} is a run.")
        run = image_classifier.restore(system, path, choose, averaged=averaged)
        return classifier_model(run, {"system": system.name, "averaged": averaged})
    if choose != "latest" or averaged:
        raise ValueError(f"Checkpoints are chosen in runs; {path} is not a folder.")
    weights = convert.load(system.name, path)
    config = json.loads(read(path)[1].get("config", "{}"))
    side = config.get("image_size", 224) if size is None else size
    told = {
        "system": system.name,
        "source": path.name,
        "takes": "images normalised as in training; the file of weights tells not how",
        "gives": "logits",
    }
    return network_model(*weights, _images(side, config.get("in_channels", 3)), told)


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
    exported = _trace(model, platforms)
    content = bytes(exported.serialize())
    described = _description(model, exported, content)
    with replaced(path) as artefact, replaced(path.with_suffix(".json")) as beside:
        artefact.write_bytes(content)
        beside.write_text(json.dumps(described, indent=2) + "\n")
    return described


def _images(side, channels):
    shape = 1, side, side, channels
    return {"images": jax.ShapeDtypeStruct(shape, jnp.float32)}


def _trace(model, platforms):
    """One example, mapped over a batch b >= 1: no network divides by a symbolic b."""

    @jax.jit
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
    return jax_export.export(forward, platforms=platforms)(*shapes)


def _description(model, exported, content):
    def described(arrays):
        return {
            name or "outputs": {
                "shape": ["b", *array.shape[1:]],
                "dtype": array.dtype.name,
            }
            for name, array in arrays.items()
        }

    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    return {
        **model.metadata,
        "inputs": described(model.inputs),
        "outputs": described(flatten(outputs)),
        "platforms": exported.platforms,
        "jax": jax.__version__,
        "calling_convention": exported.calling_convention_version,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
