"""A learned bias for each distance: what does not fit."""

import re

import jax.numpy as jnp
import pytest

from gpsattn_jax.graphs import geodesic_distances
from gpsattn_jax.kernels import geodesic_bias

LINE = ((0, 1), (1, 2), (2, 3), (3, 4))


def test_a_bias_needs_a_row_for_each_distance():
    distances = geodesic_distances(5, LINE)
    message = "table must have a row for each distance up to 4; got 4 rows."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        geodesic_bias(jnp.zeros(4), distances)
    with pytest.raises(ValueError, match=r"^distances must be \[V, V\]; got \(4, 5\)"):
        geodesic_bias(jnp.zeros(5), distances[:4])
