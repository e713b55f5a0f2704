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
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from gpsattn_jax import convert
from gpsattn_jax.convert.files import flatten, read
from gpsattn_jax.files import replaced
from gpsattn_jax.systems import image_classifier
from gpsattn_jax.systems.image_classifier import Classifier, System

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


@dataclasses.dataclass(frozen=True)
class Artefact:
    """An artefact, read again; `exported` is JAX's view of it."""

    exported: jax_export.Exported
    metadata: dict[str, Any]

    def __call__(self, *inputs: Any) -> Any:
        """Arrays [b, …] in the order of `metadata["inputs"]` -> the outputs.

        Raises:
            ValueError: names the input that does not fit; nothing is cast silently.
        """
        expected = self.metadata["inputs"]
        if len(inputs) != len(expected):
            raise ValueError(f"inputs must be {[*expected]}; got {len(inputs)} arrays.")
        batch: int | str = "b"
        for (name, wanted), array in zip(expected.items(), inputs, strict=True):
            batch = _check_input(name, wanted, array, batch)
        return self.exported.call(*inputs)


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

    Args:
        model: what to export.
        path: a `.stablehlo`; the description is the `.json` of the same name. Each
            appears whole or not at all, and `load` sees whether they belong together.
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
    _need_flatbuffers()
    exported = _trace(model, platforms)
    content = bytes(exported.serialize())
    described = _description(model, exported, content)
    with replaced(path) as artefact, replaced(path.with_suffix(".json")) as beside:
        artefact.write_bytes(content)
        beside.write_text(json.dumps(described, indent=2) + "\n")
    return described


def load(path: str | os.PathLike) -> Artefact:
    """Reads what `export` wrote, for calling with checked inputs.

    Raises:
        FileNotFoundError: if the artefact or its description is not there.
        ImportError: without flatbuffers.
        ValueError: if either is garbled or cut short, or they do not belong together.
    """
    path = pathlib.Path(path)
    beside = path.with_suffix(".json")
    for file in (path, beside):
        if not file.is_file():
            raise FileNotFoundError(f"{file}: no such file of an artefact.")
    content = path.read_bytes()
    try:
        metadata = json.loads(beside.read_text())
        wanted = metadata["bytes"], metadata["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{beside}: not an artefact's description: {error}") from error
    # Asked here, since a reader of garbled bytes may end the process, not raise.
    if wanted != (len(content), hashlib.sha256(content).hexdigest()):
        raise ValueError(
            f"{path}: must be the {wanted[0]} bytes that {beside.name} describes; got "
            f"{len(content)} bytes, cut short, changed or another artefact's."
        )
    _need_flatbuffers()
    return Artefact(jax_export.deserialize(bytearray(content)), metadata)


# Arrays are "SIZE/in/PLACE" and "SIZE/out/PLACE". The last line is the result.
_PROGRAM = """
import sys
import jax, numpy
from jax import export

with open(sys.argv[1], "rb") as file:
    exported = export.deserialize(bytearray(file.read()))
differences = []
with numpy.load("arrays.npz") as arrays:
    for size in dict.fromkeys(name.split("/")[0] for name in arrays):
        inputs = [arrays[name] for name in arrays if name.startswith(size + "/in/")]
        for place, output in enumerate(jax.tree.leaves(exported.call(*inputs))):
            wanted = arrays[f"{size}/out/{place}"]
            if output.shape != wanted.shape:
                sys.exit(f"its outputs must be {wanted.shape}; got {output.shape}")
            apart = numpy.abs(numpy.asarray(output, numpy.float32) - wanted).max()
            differences.append(apart / max(1, numpy.abs(wanted).max()))
if any(name.split(".")[0] == "gpsattn_jax" for name in sys.modules):
    sys.exit("gpsattn_jax was imported")
print(numpy.max(differences))
"""


def check(
    model: Model,
    path: str | os.PathLike,
    *,
    sizes: Sequence[int] = (1, 3),
    tolerance: float = 1e-5,
) -> float:
    """Compares an artefact, run in a fresh process without our code, with the network.

    Args:
        model: what was exported; its network runs here, on whole batches.
        path: the artefact.
        sizes: of the batches, which are made up.
        tolerance: the largest difference allowed, absolute where the outputs are below
            one, else as a share of the largest one. The default is for CPUs; an
            accelerator's short float32 products may need 1e-2.

    Returns:
        The largest difference.

    Raises:
        ValueError: if it is above the tolerance or not finite, or the process fails.
    """
    # A GPU's memory is shared with the other process; a TPU belongs to one alone.
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if jax.default_backend() == "tpu":
        environment["JAX_PLATFORMS"] = "cpu"
    with tempfile.TemporaryDirectory() as folder:
        np.savez(pathlib.Path(folder, "arrays.npz"), **_questions(model, sizes))
        result = subprocess.run(
            [sys.executable, "-c", _PROGRAM, os.path.abspath(path)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{path}: does not run in a fresh process: {reason}")
    difference = float(result.stdout.split()[-1])
    if not difference <= tolerance:
        raise ValueError(
            f"{path}: its outputs must be within {tolerance:g} of the network's; got "
            f"{difference:g}."
        )
    return difference


def print_check(model: Model, path: str | os.PathLike, tolerance: float = 1e-5) -> None:
    """Checks an artefact and prints what it is, its size and the largest difference.

    Raises:
        FileNotFoundError, ImportError, ValueError: as `load` and `check`.
    """
    told = load(path).metadata
    difference = check(model, path, tolerance=tolerance)
    print(f"{path}: {told['bytes'] / 1e6:.2f} MB for {', '.join(told['platforms'])}.")
    for kind, says in (("inputs", "takes"), ("outputs", "gives")):
        for name, wanted in told[kind].items():
            print(f"  {name} {_form(wanted['shape'], wanted['dtype'])}")
        if says in told:
            print(f"    {told[says]}")
    print(f"In a fresh process without our code: largest difference {difference:.1e}.")


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


def _questions(model, sizes):
    """Made-up inputs and the network's own answers, as `_PROGRAM` wants them.

    Inputs are floats in 0..1; integers and booleans are 0 or 1.
    """
    forward = jax.jit(lambda inputs: model.forward(**inputs))
    random = np.random.default_rng(0)
    arrays = {}
    for size in sizes:
        inputs = {}
        for place, (name, wanted) in enumerate(model.inputs.items()):
            drawn = random.random((size, *wanted.shape[1:]))
            if not jnp.issubdtype(wanted.dtype, jnp.floating):
                drawn = drawn.round()
            inputs[name] = arrays[f"{size}/in/{place}"] = drawn.astype(wanted.dtype)
        for place, output in enumerate(jax.tree.leaves(forward(inputs))):
            arrays[f"{size}/out/{place}"] = np.asarray(output, np.float32)
    return arrays


def _check_input(name, wanted, array, batch):
    """Compares an input with its description; gives the size of the batch."""
    shape, dtype = np.shape(array), getattr(array, "dtype", type(array).__name__)
    size = shape[0] if shape and batch == "b" else batch
    expected = [size, *wanted["shape"][1:]]
    if size == 0 or list(shape) != expected or str(dtype) != wanted["dtype"]:
        expected = _form([batch, *wanted["shape"][1:]], wanted["dtype"])
        raise ValueError(f"{name} must be {expected}; got {_form(shape, dtype)}.")
    return size


def _form(shape, dtype):
    return f"[{', '.join(map(str, shape))}] {dtype}"


def _need_flatbuffers():
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Artefacts need flatbuffers (pip install gpsattn-jax[export])."
        ) from error
