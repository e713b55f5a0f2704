"""Shape checks for kernels: one line, one alphabet, free after tracing."""

from typing import Any


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
