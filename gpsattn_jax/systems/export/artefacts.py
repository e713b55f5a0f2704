"""Reading exported networks: StableHLO files with their descriptions."""

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np
from jax import export as jax_export


@dataclasses.dataclass(frozen=True)
class Artefact:
    """An artefact as it was read; `exported` is JAX's view of it."""

    exported: jax_export.Exported
    metadata: dict[str, Any]

    def __call__(self, *inputs: Any) -> Any:
        """Arrays [b, …] in the order of `metadata["inputs"]` -> the outputs.

        Raises:
            ValueError: names the input that does not fit; nothing is cast silently. Or
                this machine's platform or JAX is not one that the artefact is for.
        """
        expected = self.metadata["inputs"]
        if len(inputs) != len(expected):
            raise ValueError(f"inputs must be {[*expected]}; got {len(inputs)} arrays.")
        batch: int | str = "b"
        for (name, wanted), array in zip(expected.items(), inputs, strict=True):
            batch = _check_input(name, wanted, array, batch)
        try:
            return self.exported.call(*inputs)
        except jax.errors.JaxRuntimeError as error:
            if "deserialize" not in str(error):
                raise
            raise ValueError(_versions(self.metadata) + ".") from error


def load(path: str | os.PathLike) -> Artefact:
    """Reads what `export.export` wrote, for calling with checked inputs.

    Raises:
        FileNotFoundError: if the artefact or its description is not there.
        ImportError: without flatbuffers.
        ValueError: if either is garbled or cut short, they do not belong together, or
            this JAX cannot read them.
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
    need_flatbuffers()
    try:
        return Artefact(jax_export.deserialize(bytearray(content)), metadata)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(f"{path}: {_versions(metadata)}: {error}") from error


def need_flatbuffers() -> None:
    """Raises ImportError, saying what to install, without flatbuffers."""
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "Artefacts need flatbuffers (pip install gpsattn-jax[export])."
        ) from error


def describe(shape: Any, dtype: Any) -> str:
    """A shape and a dtype for people."""
    return f"[{', '.join(map(str, shape))}] {dtype}"


def _check_input(name, wanted, array, batch):
    """Compares an input with its description; gives the size of the batch."""
    shape, dtype = np.shape(array), getattr(array, "dtype", type(array).__name__)
    size = shape[0] if shape and batch == "b" else batch
    expected = [size, *wanted["shape"][1:]]
    if size == 0 or list(shape) != expected or str(dtype) != wanted["dtype"]:
        right = describe([batch, *wanted["shape"][1:]], wanted["dtype"])
        raise ValueError(f"{name} must be {right}; got {describe(shape, dtype)}.")
    return size


def _versions(metadata):
    return f"made by JAX {metadata['jax']}, not readable by JAX {jax.__version__}"
