"""Reading exported networks: StableHLO files with their descriptions."""

import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import jax
import numpy as np
from jax import export as jax_export

from gpsattn_jax.reader_errors import check_file, shorten
from gpsattn_jax.systems.export.inspection import (
    inspect,
    read_description,
    read_program,
)

# Checksums of what this process has exported: nothing to be careful with.
WRITTEN: set[str] = set()


@dataclasses.dataclass(frozen=True)
class Artefact:
    """An artefact as it was read; `exported` is JAX's view of it."""

    exported: jax_export.Exported
    metadata: dict[str, Any]
    path: pathlib.Path

    def __call__(self, *inputs: Any) -> Any:
        """Arrays [b, …] in the order of `metadata["inputs"]` -> the outputs.

        Raises:
            ValueError: names the input that does not fit; nothing is cast silently. Or
                this machine's platform or JAX is not one that the artefact is for.
        """
        expected = self.metadata["inputs"]
        if len(inputs) != len(expected):
            raise ValueError(
                f"{self.path}: inputs must be {[*expected]}; got {len(inputs)} arrays."
            )
        batch: int | str = "b"
        for (name, wanted), array in zip(expected.items(), inputs, strict=True):
            batch = _check_input(name, wanted, array, batch)
        try:
            return self.exported.call(*inputs)
        except Exception as error:  # of the compiler, which finds more
            why = shorten(str(error), 300) or type(error).__name__
            versions = _versions(self.metadata)
            raise ValueError(
                f"{self.path}: does not run here ({versions}): {why}"
            ) from error


def load(path: str | os.PathLike) -> Artefact:
    """Reads what `export.export` wrote, for calling with checked inputs.

    The program of a file that another process wrote is first looked through, in a
    process of its own (a second): whatever would leave it, such as a call of Python or
    of a library, is refused. The numbers that it computes are what its maker put there.

    Raises:
        FileNotFoundError: if the artefact or its description is not there.
        ImportError: without flatbuffers.
        ValueError: if either is garbled or cut short, they do not belong together, this
            JAX cannot read them, or the program calls what ours do not.
    """
    path = pathlib.Path(path)
    beside = path.with_suffix(".json")
    for file in (path, beside):
        check_file(file, "an artefact")
    content, metadata = path.read_bytes(), read_description(beside)
    wanted = metadata["bytes"], metadata["sha256"]
    # Asked here, since a reader of garbled bytes may end the process, not raise.
    if wanted != (len(content), hashlib.sha256(content).hexdigest()):
        raise ValueError(
            f"{path}: must be the {wanted[0]} bytes that {beside.name} describes; got "
            f"{len(content)} bytes, cut short, changed or another artefact's."
        )
    need_flatbuffers()
    if metadata["sha256"] not in WRITTEN:
        (problem,) = inspect([path])
        if problem:
            raise ValueError(f"{path} ({_versions(metadata)}): {problem}")
    exported = read_program(path, content)
    _check_inputs(path, metadata, exported)
    return Artefact(exported, metadata, path)


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


def _check_inputs(path, metadata, exported):
    described = [
        (wanted["shape"][1:], wanted["dtype"]) for wanted in metadata["inputs"].values()
    ]
    found = [([*aval.shape[1:]], aval.dtype.name) for aval in exported.in_avals]
    if described != found:
        raise ValueError(
            f"{path.with_suffix('.json')}: inputs must be those of {path.name}, "
            f"{found}; got {described}."
        )


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
    return f"made by JAX {metadata['jax']:.20}; this is JAX {jax.__version__}"
