"""The same network with another head, other outputs, or other channels of images."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gpsattn_jax.modules.functional import Functional

STEM = ("stem/kernel", "stem/conv/kernel")  # [K, K, C, C'] of the classifiers


def reshaped(
    build: Callable[[Any], Functional],
    found: Any,
    wanted: Any,
    params: dict,
    state: dict,
) -> tuple[Functional, dict, dict]:
    """Weights of one config as those of another, which differs in its ends alone.

    Args:
        build: config -> network.
        found: the config of the weights, with num_classes, features_only, in_channels.
        wanted: the other config.
        params: of the network of `found`.
        state: likewise.

    Returns:
        (network, params, state): parts that `wanted` has and `found` has not, and a
        head of another width, start afresh; the stem is made to fit `in_channels`.
    """
    network = build(wanted)
    if wanted == found:
        return network, params, state
    parts = network.shapes()[0].keys()
    fresh = parts - params.keys()
    if wanted.num_classes != found.num_classes:
        fresh |= parts & {"head"}
    kept = {part: params[part] for part in parts - fresh}
    if wanted.in_channels != found.in_channels:
        kept["stem"] = _other_stem(kept["stem"], wanted.in_channels)
    return network, kept | (_start(network, fresh) if fresh else {}), state


def _start(network, parts):
    """These parts of a network at its start; the others are not even computed."""

    @jax.jit
    def start(key):
        params, _ = network.init(key)
        return {part: params[part] for part in parts}

    return start(jax.random.key(0))


def _other_stem(stem, channels):
    """The stem's parameters with another convolution, at either depth."""
    if "conv" in stem:
        return stem | {"conv": _other_stem(stem["conv"], channels)}
    kernel, how = other_channels(np.asarray(stem["kernel"]), channels)
    print(f"The stem's kernel for {channels} channels of images is {how}.")
    return stem | {"kernel": jax.numpy.asarray(kernel)}


def other_channels(kernel: np.ndarray, channels: int) -> tuple[np.ndarray, str]:
    """A first convolution for colours as one for other channels, as timm does it.

    Args:
        kernel: [K, K, 3, C'].
        channels: C; one channel takes the sum over colours, others take the colours in
            turn, scaled so that the sum over channels stays.

    Returns:
        ([K, K, C, C'], how it was made, in words).

    Raises:
        ValueError: if the kernel is not for three channels.
    """
    if kernel.shape[2] != 3 or channels < 1:
        raise ValueError(
            "in_channels can be changed in weights for 3 channels, to 1 and more; "
            f"got {kernel.shape[2]} channels, in_channels={channels}."
        )
    if channels == 1:
        return kernel.sum(axis=2, keepdims=True), "the sum over the three colours"
    turns = np.arange(channels) % 3
    factor = np.asarray(3 / channels, kernel.dtype)
    return kernel[
        :, :, turns
    ] * factor, f"the three colours in turn, times 3/{channels}"


def fit_channels(
    path: str, array: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, str] | None:
    """The same where a network starts from another one: a `Fit` of `convert.graft`."""
    here = path.removeprefix("params/") in STEM
    if not here or array.shape[2] != 3 or array.shape[3] != shape[3]:
        return None
    if array.shape[:2] != shape[:2]:
        return None
    return other_channels(array, shape[2])
