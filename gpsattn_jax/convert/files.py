"""Weight files: read without free unpickling, written whole or not at all."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors.numpy

from gpsattn_jax.convert.contents import SUFFIXES, read_contents
from gpsattn_jax.files import replaced
from gpsattn_jax.stacks import by_name, unstack

Source = str | os.PathLike


def read(
    source: Source | Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A path or a mapping -> (arrays by name, the file's own metadata).

    Half precision becomes float32.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file that is none of weights or unreadable, or the entry
            that is no array.
    """
    metadata: dict[str, str] = {}
    if isinstance(source, Mapping):
        where, entries = "the mapping", dict(source)
    else:
        where, path = str(source), pathlib.Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{where}: no such weights file.")
        entries, metadata = read_contents(path)
    return {
        name: _array(where, name, entry) for name, entry in entries.items()
    }, metadata


def save(
    path: Source,
    params: dict,
    state: dict,
    config: Any = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Writes a network's arrays as one `.safetensors` file that `load` reads.

    Args:
        path: the file; it appears whole or not at all.
        params: as from `Functional.init`.
        state: likewise.
        config: optional dataclass that the network was built from, or options as a
            dict; kept in the file, so that `load` can build the network again.
        facts: what else the file's metadata shall say.

    Raises:
        ValueError: if the path does not end in `.safetensors`.
    """
    path = pathlib.Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: weights are saved as .safetensors.")
    arrays = {
        name: np.asarray(array, order="C")
        for name, array in flatten({"params": params, "state": state}).items()
    }
    metadata = {"format": "gpsattn_jax", **(facts or {})}
    if config is not None:
        fields = config if isinstance(config, dict) else dataclasses.asdict(config)
        metadata["config"] = json.dumps(fields)
    with replaced(path) as partial:
        safetensors.numpy.save_file(arrays, partial, metadata)


def save_named(path: Source, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays under foreign names, as a plain dict that `read` reads.

    Args:
        path: the file; it appears whole or not at all. PyTorch's suffixes need torch,
            `.npz` and `.safetensors` do not.
        arrays: by name.

    Raises:
        ImportError: for PyTorch's suffixes without torch.
        ValueError: if the suffix is unknown.
    """
    path = pathlib.Path(path)
    _check_suffix(path)
    # Not `ascontiguousarray`, which makes a counter [] a vector [1].
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if path.suffix == ".safetensors":
        with replaced(path) as partial:
            safetensors.numpy.save_file(arrays, partial)
    elif path.suffix == ".npz":
        with replaced(path) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    else:
        torch = _torch(path)
        # A copy: torch asks for arrays that it may write to.
        tensors = {name: torch.tensor(array) for name, array in arrays.items()}
        with replaced(path) as partial:
            torch.save(tensors, partial)


def flatten(tree: Any) -> dict[str, Any]:
    """Nested dicts -> leaves by path: {"params/blocks/0/norm/scale": …}.

    Each block of a stack has an entry of its own, as files have it and as PyTorch's
    names do; `torch_keys.fill` stacks them again.
    """
    return by_name(unstack(tree))


def _check_suffix(path):
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path}: the suffix must be one of {', '.join(SUFFIXES)}; "
            f"got {path.suffix!r}."
        )


def _torch(path):
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path}: writing PyTorch files needs torch (pip install "
            "gpsattn-jax[torch]); .safetensors and .npz need it not."
        ) from error
    return torch


def _array(where, name, entry):
    if hasattr(entry, "detach"):  # a torch tensor, in a mapping
        entry = entry.detach().cpu()
        entry = entry.float() if entry.is_floating_point() else entry
    array = np.asarray(entry)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise ValueError(
            f"{where}: {name!r} must be an array of numbers; got "
            f"{type(entry).__name__} of {array.dtype}."
        )
    half = array.dtype.name in ("float16", "bfloat16")
    return array.astype(np.float32) if half else array
