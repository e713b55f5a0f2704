"""Structural positions as a bias: a learned number for each distance on a graph.

What is known of a graph before anything is computed stands in `gpsattn_jax.graphs`.
"""

import chex
import numpy as np

from gpsattn_jax.kernels.shapes import check_shapes


def geodesic_bias(table: chex.Array, distances: np.ndarray) -> chex.Array:
    """A learned number for each distance: [R], int [V, V] -> [V, V].

    Added to the logits of one head (Graphormer, arXiv 2106.05234, section 3.1.2).

    Args:
        table: [R], one more than the largest distance.
        distances: whole numbers below R.

    Returns:
        [V, V] in the table's dtype.

    Raises:
        ValueError: if the shapes do not fit, or a distance is beyond the table.
    """
    check_shapes(table=(table, "R"), distances=(distances, "V V"))
    if distances.size and distances.max() >= len(table):
        raise ValueError(
            f"table must have a row for each distance up to {distances.max()}; "
            f"got {len(table)} rows."
        )
    return table[distances]
