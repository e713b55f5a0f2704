"""Checks for kernels: one line, one alphabet, free after tracing."""

from typing import Any

import jax.numpy as jnp


def check_shapes(**arrays: tuple[Any, str]) -> None:
    """Checks arrays against axis letters: `check_shapes(key=(key, "S D"))`.

    A letter means the same size everywhere in one call. An array that is None is
    skipped.

    Raises:
        ValueError: names the array, what was expected (with the sizes known by then)
            and what came: `key must be [S, D=4]; got (7, 3).`
    """
    sizes: dict[str, int] = {}
    for name, (array, axes) in arrays.items():
        if array is None:
            continue
        letters, known, shape = axes.split(), dict(sizes), tuple(array.shape)
        fits = len(letters) == len(shape) and all(
            sizes.setdefault(letter, size) == size
            for letter, size in zip(letters, shape, strict=True)
        )
        if not fits:
            expected = ", ".join(
                f"{a}={known[a]}" if a in known else a for a in letters
            )
            raise ValueError(f"{name} must be [{expected}]; got {shape}.")


def check_least(least: int, **numbers: int) -> None:
    """Raises ValueError if a number is too small: `check_least(1, stride=stride)`."""
    for name, number in numbers.items():
        if number < least:
            raise ValueError(f"{name} must be at least {least}; got {number}.")


def check_bias_and_mask(bias: Any, mask: Any, source: str = "bias") -> None:
    """Raises ValueError for a mask in the place of a bias, or the other way round.

    Args:
        bias: numbers that are added to logits, or None.
        mask: booleans, or None.
        source: what the bias is called.
    """
    if bias is not None and bias.dtype == jnp.bool_:
        raise ValueError(
            f"{source} must be numbers, which are added to the logits; got booleans. "
            "Give a mask by name: mask=…."
        )
    if mask is not None and mask.dtype != jnp.bool_:
        raise ValueError(f"mask must be boolean; got {mask.dtype}.")
