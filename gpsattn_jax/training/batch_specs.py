"""How the arrays of a batch are split: one table from names to mesh axes."""

import math
import re
from collections.abc import Mapping

from jax.sharding import PartitionSpec as P

# Pattern of a name -> mesh axes; the first row that matches wins. Examples go along
# `data`, and what is long in one along `seq`.
BATCHES: tuple[tuple[str, P], ...] = (
    (r"(^|/)(features|score)$", P("data", "seq")),  # [B, T, …]: steps of a video
    (r"(^|/)images$", P("data", "seq")),  # [B, H, W, C]: rows of pixels
    (r".*", P("data")),
)


def batch_spec(name: str, shape: tuple[int, ...], mesh: Mapping[str, int]) -> P:
    """How an array of a batch lies on a mesh, by `BATCHES`.

    Args:
        name: of the array, as inputs/images.
        shape: of the array, of all processes together.
        mesh: sizes of its axes.

    Raises:
        ValueError: names an array that cannot be split along `seq`.
    """
    devices = mesh.get("seq", 1)
    spec = next(spec for pattern, spec in BATCHES if re.search(pattern, name))
    if devices == 1 or "seq" not in spec:
        return P("data")
    if re.search(r"(^|/)images$", name):
        _check_images(mesh)
    axis = spec.index("seq")
    if shape[axis] % devices:
        raise ValueError(
            f"{name} must have a multiple of the {devices} devices along seq in axis "
            f"{axis}; got {tuple(shape)}."
        )
    return spec


def _check_images(mesh):
    """On an axis that is idle in a convolution, XLA sums its kernel's gradient, too.

    It is then a multiple of what it should be, without a word (JAX 0.10.1;
    `tests/training/split_test.py` looks whether it still is).
    """
    if math.prod(mesh.values()) > mesh.get("data", 1) * mesh["seq"]:
        axes = ",".join(f"{name}:{size}" for name, size in mesh.items())
        raise ValueError(
            "mesh must have no axis but data where images are split along seq (XLA's "
            f"gradient of a convolution is wrong there); got {axes}."
        )
