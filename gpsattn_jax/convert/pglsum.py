"""PGL-SUM weights: the official code's names -> ours, and back; our own files.

A state dict may hold the whole network, or a part of it: global and local attention
together, or one attention block.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.saved import load_saved
from gpsattn_jax.convert.torch_keys import ConversionError, fill, is_ours
from gpsattn_jax.models import pglsum
from gpsattn_jax.modules.functional import Functional

OPTIONS = ("fusion", "position", "frequency", "dropout", "start")

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One array of theirs and its place in ours.

    Attributes:
        name: theirs.
        path: of our array.
        view: our array -> the part of it in the shape of theirs, without a copy.
    """

    name: str
    path: str
    view: Callable[[np.ndarray], np.ndarray]


def load_network(
    arrays: Arrays, metadata: dict[str, str], **options: Any
) -> tuple[Functional, dict, dict]:
    """A state dict of PGL-SUM, of a part of it, or our own file.

    Widths, heads and segments come from names and shapes. A part is called as the whole
    network, with features [B, T, C] and length [B], and gives [B, T, C].

    Args:
        arrays: by name.
        metadata: of the file.
        **options: fields of `pglsum.Config` that leave no trace in names and shapes:
            fusion, position ("none" or None for none), frequency, dropout, start. By
            default the published model's, or those of our own file.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: for other options.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(
            f"options must be among {', '.join(OPTIONS)}; got {', '.join(unknown)}."
        )
    if is_ours(arrays):
        build, kind = pglsum.build, pglsum.Config
        return load_saved(build, kind, arrays, metadata, **options)[1:]
    prefix = _prefix(arrays)
    config = infer_config(arrays, prefix, **options)
    builds: dict[str, Callable[[pglsum.Config], Functional]] = {
        "attention.attention.": pglsum.build,
        "attention.": functools.partial(_part, pglsum.MultiAttention),
        "": functools.partial(_part, _whole_attention),
    }
    network = builds[prefix](config)
    return network, *_filled(network, arrays, list(_entries(config, prefix)))


def to_torch(config: pglsum.Config, params: dict, state: dict) -> dict[str, Any]:
    """Weights by the official model's names and shapes, as `load_state_dict` takes.

    Args:
        config: of the network.
        params: its parameters.
        state: empty; every system's converter takes it.
    """
    del state
    ours = {path: np.asarray(leaf) for path, leaf in flatten(params).items()}
    return {
        entry.name: np.ascontiguousarray(entry.view(ours[entry.path]))
        for entry in _entries(config, "attention.attention.")
    }


def infer_config(arrays: Arrays, prefix: str, **options: Any) -> pglsum.Config:
    """The config whose network has these names and shapes.

    Args:
        arrays: by their names.
        prefix: of the global attention's names.
        **options: fields that leave no trace.

    Raises:
        ConversionError: if what tells the sizes is missing or fits no network.
    """
    first = f"{prefix}Wq.0.weight"
    if first not in arrays or arrays[first].ndim != 2:
        raise ConversionError([f"missing: {first} (outputs, inputs) of a linear layer"])
    size, channels = arrays[first].shape
    local = _local_prefix(prefix)
    heads = _count(arrays, rf"{re.escape(prefix)}W[qkv]\.(\d+)\.")
    segments = _count(arrays, rf"{re.escape(local)}(\d+)\.") if local else 0
    local_heads = _count(arrays, rf"{re.escape(local)}\d+\.W[qkv]\.(\d+)\.") or 4
    try:
        return pglsum.Config(
            input_size=channels,
            hidden_size=size * heads,
            num_heads=heads,
            local_heads=local_heads,
            num_segments=segments,
            **options,
        )
    except ValueError as error:
        if any(name in str(error).split()[0] for name in options):
            raise
        raise ConversionError(
            [f"misshapen: {first} {(size, channels)}: {error}"]
        ) from (error)


def _prefix(arrays):
    """What the names of the global attention begin with."""
    for prefix in ("attention.attention.", "attention.", ""):
        if any(name.startswith(f"{prefix}W") for name in arrays):
            return prefix
    return "attention.attention."


def _local_prefix(prefix):
    return prefix.removesuffix("attention.") + "local_attention." if prefix else ""


def _count(arrays, pattern):
    """One more than the highest number found in names."""
    found = (re.match(pattern, name) for name in arrays)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _entries(config: pglsum.Config, prefix: str) -> Iterator[Entry]:
    """Every array of theirs that a network of this config has."""
    path = {"attention.attention.": "attention/whole/", "attention.": "whole/"}
    yield from _block(prefix, path.get(prefix, ""), config.num_heads)
    if not prefix:
        return
    for segment in range(config.num_segments):
        name = f"{_local_prefix(prefix)}{segment}."
        where = path[prefix].replace("whole", "parts")
        yield from _block(name, where, config.local_heads, segment)
    if prefix != "attention.attention.":
        return
    for name, ours in (("linear_1", "hidden"), ("linear_2", "score")):
        yield Entry(f"{name}.weight", f"{ours}/kernel", np.transpose)
        yield Entry(f"{name}.bias", f"{ours}/bias", np.asarray)
    for name, ours in (("norm_y", "norm"), ("norm_linear", "hidden_norm")):
        yield Entry(f"{name}.weight", f"{ours}/scale", np.asarray)
        yield Entry(f"{name}.bias", f"{ours}/bias", np.asarray)


def _block(
    name: str, path: str, heads: int, segment: int | None = None
) -> Iterator[Entry]:
    """One attention block; of ours [M, …], the block of a segment."""
    block = () if segment is None else (segment,)
    for theirs, ours in (("Wq", "query"), ("Wk", "key"), ("Wv", "value")):
        for head in range(heads):

            def one_head(kernel, head=head):  # [C, N, D] -> [D, C]
                return kernel[block][:, head].T

            yield Entry(
                f"{name}{theirs}.{head}.weight", f"{path}{ours}/kernel", one_head
            )
    yield Entry(
        f"{name}out.weight",
        f"{path}out/kernel",
        lambda kernel: kernel[block].reshape(-1, kernel.shape[-1]).T,
    )


def _filled(network, arrays, entries):
    """(params, state) with every entry written into its place."""
    params, _ = network.shapes()
    ours = {path: np.zeros(leaf.shape) for path, leaf in flatten(params).items()}
    known = {entry.name for entry in entries}
    complaints = [
        f"unmatched: {name} {array.shape}"
        for name, array in arrays.items()
        if name not in known
    ]
    for entry in entries:
        place = entry.view(ours[entry.path])
        if entry.name not in arrays:
            complaints.append(f"missing: {entry.name} -> {entry.path} {place.shape}")
        elif arrays[entry.name].shape != place.shape:
            complaints.append(
                f"misshapen: {entry.name} -> {entry.path} must be {place.shape}; "
                f"got {arrays[entry.name].shape}"
            )
        else:
            place[...] = arrays[entry.name]
    if complaints:
        raise ConversionError(complaints)
    return fill(network, {f"params/{path}": array for path, array in ours.items()})


def _part(make, config):
    return Functional(functools.partial(_make_part, make, config))


def _make_part(make, config, rngs):
    return make(config, rngs=rngs)


def _whole_attention(config, rngs):
    return pglsum.MultiAttention(config, rngs=rngs).whole
