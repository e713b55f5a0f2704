"""The shape checks: exact messages, for the person who reads them."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import kernels
from gpsattn_jax.kernels.shapes import check_shapes


def zeros(*shape):
    return np.zeros(shape, np.float32)


CASES = {
    "known size": (
        {"query": (zeros(5, 4), "T D"), "key": (zeros(7, 3), "S D")},
        "key must be [S, D=4]; got (7, 3).",
    ),
    "rank": (
        {"query": (zeros(2, 5, 4), "T D")},
        "query must be [T, D]; got (2, 5, 4).",
    ),
    "rank too low": (
        {"query": (zeros(5, 4), "T D"), "key": (zeros(4), "S D")},
        "key must be [S, D=4]; got (4,).",
    ),
    "all known": (
        {
            "query": (zeros(5, 4), "T D"),
            "key": (zeros(7, 4), "S D"),
            "bias": (zeros(7, 5), "T S"),
        },
        "bias must be [T=5, S=7]; got (7, 5).",
    ),
    "a letter twice in one array": (
        {"square": (zeros(3, 4), "T T")},
        "square must be [T, T]; got (3, 4).",
    ),
    "the first of two": (
        {"key": (zeros(7), "S D"), "value": (zeros(6), "S E")},
        "key must be [S, D]; got (7,).",
    ),
    "scalar": ({"table": (zeros(), "R D")}, "table must be [R, D]; got ()."),
}


@pytest.mark.parametrize("arrays, message", CASES.values(), ids=CASES.keys())
def test_message(arrays, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_shapes(**arrays)


def test_what_fits_passes():
    check_shapes(
        query=(zeros(5, 4), "T D"),
        key=(zeros(7, 4), "S D"),
        bias=(None, "T S"),
        mask=(jnp.ones((5, 7), bool), "T S"),
    )
    check_shapes()
    check_shapes(empty=(zeros(0, 4), "T D"))


def test_none_sets_no_size():
    check_shapes(bias=(None, "T S"), query=(zeros(5, 4), "T D"))


KERNEL_CASES = {
    "attention_weights": (
        kernels.attention_weights,
        (zeros(5, 4), zeros(7, 3)),
        "key must be [S, D=4]; got (7, 3).",
    ),
    "attention_weights mask": (
        kernels.attention_weights,
        (zeros(5, 4), zeros(7, 4), None, np.ones((5, 5), bool)),
        "mask must be [T=5, S=7]; got (5, 5).",
    ),
    "attend": (
        kernels.attend,
        (zeros(5, 4), zeros(7, 4), zeros(6, 2)),
        "value must be [S=7, E]; got (6, 2).",
    ),
    "attend bias": (
        kernels.attend,
        (zeros(5, 4), zeros(7, 4), zeros(7, 2), zeros(1, 7)),
        "bias must be [T=5, S=7]; got (1, 7).",
    ),
    "content_attention": (
        kernels.content_attention,
        (zeros(5, 4), zeros(7, 4), zeros(7)),
        "value must be [S=7, E]; got (7,).",
    ),
    "content_weights": (
        kernels.content_weights,
        (zeros(5, 4), zeros(7, 5)),
        "key must be [S, D=4]; got (7, 5).",
    ),
    "relative_attention": (
        kernels.relative_attention,
        (zeros(5, 4), zeros(6, 3), zeros(9, 4)),
        "value must be [T=5, E]; got (6, 3).",
    ),
    "relative_weights": (
        kernels.relative_weights,
        (zeros(5, 4), zeros(9, 3)),
        "table must be [R, D=4]; got (9, 3).",
    ),
}


@pytest.mark.parametrize(
    "kernel, arrays, message", KERNEL_CASES.values(), ids=KERNEL_CASES.keys()
)
def test_kernels_name_the_array_that_does_not_fit(kernel, arrays, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kernel(*arrays)
