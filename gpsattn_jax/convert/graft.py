"""Weights of one network as the start of another: fine-tuning."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.heads import fit_channels
from gpsattn_jax.convert.torch_keys import ConversionError, fill
from gpsattn_jax.modules.functional import Functional

# Another network differs in hundreds of arrays; a few tell enough.
MOST_COMPLAINTS = 12

# Fields of a config that change no array, or none that cannot be fitted.
UNFITTING = {
    "balanced", "channel_dropout", "drop_path", "dropout", "features_only",
    "image_size", "in_channels", "num_classes", "remat", "scale", "start",
    "table_resize",
}  # fmt: skip

# (path, array, wanted shape) -> (array of that shape, what was done), or None.
Fit = Callable[
    [str, np.ndarray, tuple[int, ...]], tuple[np.ndarray | jax.Array, str] | None
]


def fit_relative_table(
    path: str, array: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, str] | None:
    """A table of relative positions [R, D] with distance zero in the middle.

    It is cut, or filled up with zeros, around the middle row; both lengths are odd.

    Args:
        path: of the array, "params/…".
        array: the table as it was saved.
        shape: of the network's.

    Returns:
        (the table in that shape, what was done); None if it is no such table.
    """
    if not path.endswith("_table") or array.shape[1:] != shape[1:]:
        return None
    change = (shape[0] - len(array)) // 2
    if change < 0:
        return array[-change:change], "cut or filled"
    return np.pad(array, ((change, change), (0, 0))), "cut or filled"


def graft(
    network: Functional,
    key: jax.Array,
    params: Any,
    state: Any,
    *,
    fit: Fit = fit_relative_table,
    configs: tuple[Any, Any] | None = None,
) -> tuple[dict, dict, list[str]]:
    """The network's own start, with all that fits taken from other weights.

    A head of another width starts afresh, or one that is lacking; tables of positions
    for another size of image are fitted, and a stem for colours to other channels.

    Args:
        network: what will be trained.
        key: random key of what starts afresh.
        params: of the trained network.
        state: its batch statistics.
        fit: makes an array have another shape, where the system knows how.
        configs: of the other weights and of the network, so that an error can say which
            flags would fit.

    Returns:
        (params, state, a line for each array that was not taken as it is).

    Raises:
        ConversionError: lists the other arrays that are missing, unmatched or of
            another shape, up to twelve.
    """
    start = dict(zip(("params", "state"), network.init(key), strict=True))
    arrays = flatten({"params": params, "state": state})
    lines = []
    for name, own in flatten(start).items():
        there, is_head = arrays.get(name), name.startswith("params/head/")
        if there is None and is_head:
            arrays[name] = own
            lines.append(f"{name} is not there and starts afresh as {own.shape}.")
        if there is None or there.shape == own.shape:
            continue
        if is_head:
            arrays[name] = own
            lines.append(f"{name} {there.shape} starts afresh as {own.shape}.")
        elif fitted := _fitted(fit, name, np.asarray(there), own.shape):
            arrays[name], done = fitted
            lines.append(f"{name} {there.shape} {done} to {own.shape}.")
    try:
        return *fill(network, arrays), lines
    except ConversionError as error:
        hints = [] if configs is None else [fitting_flags(*configs)]
        raise ConversionError(
            [*_shortened(error.complaints), *filter(None, hints)]
        ) from None


def _fitted(fit, *array):
    return fit(*array) or fit_channels(*array)


def _shortened(complaints):
    rest = len(complaints) - MOST_COMPLAINTS
    return [*complaints[:-rest], f"… and {rest} more"] if rest > 0 else complaints


def fitting_flags(found: Any, wanted: Any) -> str:
    """The flags with which a network would be the one that weights belong to.

    Args:
        found: the config of the weights.
        wanted: of the network that they do not fit.

    Returns:
        A line, such as "--model.widths=8,16 would fit"; "" if there is none to give.
    """
    if type(found) is not type(wanted):
        return ""
    flags = list(_differences("--model.", found, wanted))
    return f"these flags would fit: {' '.join(flags)}" if flags else ""


def _differences(prefix, found, wanted):
    """Flags of the fields that differ, those of nested configs too."""
    for field in dataclasses.fields(found):
        values = [getattr(config, field.name) for config in (found, wanted)]
        if not field.metadata.get("flag", True) or field.name in UNFITTING:
            continue
        if dataclasses.is_dataclass(values[0]):
            yield from _differences(f"{prefix}{field.name}.", *values)
        elif values[0] != values[1]:
            yield f"{prefix}{field.name}={_text(values[0])}"


def _text(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
