"""Weight files: read without free unpickling, written whole or not at all."""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import numpy as np
import safetensors
import safetensors.numpy

from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.torch_pickle import read_torch_pickle
from gpsattn_jax.files import replaced

Source = str | os.PathLike
T = TypeVar("T")

SUFFIXES = (".pth", ".pt", ".pkl", ".tar", ".npz", ".safetensors")

# Where training scripts put the weights among epoch, optimizer and arguments. Averaged
# weights come first: they are what such scripts evaluate.
CONTAINERS = ("state_dict_ema", "state_dict", "model_state_dict", "model", "module")

# What the readers raise for a file that is cut short or something else altogether.
_UNREADABLE = (
    safetensors.SafetensorError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


def read(
    source: Source | Mapping[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """A path or a mapping -> (arrays by name, the file's own metadata).

    Half precision becomes float32; a `module.` that every name begins with goes.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if its suffix is unknown, it is unreadable, or an entry no array.
    """
    metadata: dict[str, str] = {}
    if isinstance(source, Mapping):
        where, entries = "the mapping", dict(source)
    else:
        where, path = str(source), pathlib.Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"{where}: no such weights file.")
        entries, metadata = _read_file(path)
    arrays = {name: _array(where, name, entry) for name, entry in entries.items()}
    if arrays and all(name.startswith("module.") for name in arrays):
        arrays = {name.removeprefix("module."): array for name, array in arrays.items()}
    return arrays, metadata


def save(path: Source, params: dict, state: dict, config: Any = None) -> None:
    """Writes a network's arrays as one `.safetensors` file that `load` reads.

    Args:
        path: the file; it appears whole or not at all.
        params: as from `Functional.init`.
        state: likewise.
        config: optional dataclass that the network was built from, or options as a
            dict; kept in the file, so that `load` can build the network again.

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
    metadata = {"format": "gpsattn_jax"}
    if config is not None:
        fields = config if isinstance(config, dict) else dataclasses.asdict(config)
        metadata["config"] = json.dumps(fields)
    with replaced(path) as partial:
        safetensors.numpy.save_file(arrays, partial, metadata)


def saved_config(config_class: type[T], metadata: Mapping[str, str]) -> T:
    """The config that `save` kept beside the arrays.

    Raises:
        ValueError: if it kept none.
    """
    if "config" not in metadata:
        raise ValueError(
            "These weights carry no config; save them with "
            "convert.save(path, params, state, config)."
        )
    return from_dict(config_class, json.loads(metadata["config"]))


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
    """Nested dicts -> leaves by path: {"params/blocks/0/norm/scale": …}."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


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


def _read_file(path):
    _check_suffix(path)
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return dict(file), {}
    except _UNREADABLE as error:
        raise ValueError(
            f"{path}: not a readable {path.suffix} file: {error}"
        ) from error
    return _read_torch(path), {}


def _read_torch(path):
    content = read_torch_pickle(path)
    while isinstance(content, Mapping):
        inner = next(
            (key for key in CONTAINERS if isinstance(content.get(key), Mapping)), None
        )
        if inner is None:
            return dict(content)
        content = content[inner]
    raise ValueError(f"{path}: must hold a state dict; got {type(content).__name__}.")


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
