"""The knapsack against all subsets, a plain table and the original's choices."""

import itertools

import numpy as np
import pytest

from gpsattn_jax.evaluation import knapsack


def plain(weights, values, capacity):
    """The same choice by the textbook's double loop."""
    table = [[0.0] * (capacity + 1)]
    for weight, value in zip(weights, values, strict=True):
        above = table[-1]
        row = list(above)
        for room in range(weight, capacity + 1):
            if above[room - weight] + value > above[room]:
                row[room] = above[room - weight] + value
        table.append(row)
    chosen = []
    for item in range(len(weights), 0, -1):
        if table[item][capacity] != table[item - 1][capacity]:
            chosen.append(item - 1)
            capacity -= weights[item - 1]
    return chosen[::-1]


def test_the_original_chooses_the_same(golden):
    with np.load(golden / "pglsum/k_knapsack.npz") as cases:
        names = sorted({key.split("/")[0] for key in cases} - {"config"})
        assert len(names) == 24
        for name in names:
            weights, values, capacity, selected = (
                cases[f"{name}/{field}"]
                for field in ("weights", "values", "capacity", "selected")
            )
            found = knapsack(weights, values, capacity)
            np.testing.assert_array_equal(found, selected, err_msg=name)


@pytest.mark.parametrize("seed", range(20))
def test_equal_values_are_settled_as_by_the_plain_table(seed):
    draw = np.random.default_rng(seed)
    weights, values = draw.integers(0, 12, 15), draw.integers(-1, 4, 15)
    for capacity in (0, 1, 7, 8, 40, 1000):
        found = knapsack(weights, values, capacity)
        assert found.tolist() == plain(weights.tolist(), values.tolist(), capacity)


@pytest.mark.parametrize("seed", range(5))
def test_no_subset_is_better(seed):
    draw = np.random.default_rng(seed)
    weights, values = draw.integers(1, 20, 10), draw.normal(size=10)
    capacity = int(draw.integers(0, 80))
    best = max(
        values[list(items)].sum()
        for count in range(11)
        for items in itertools.combinations(range(10), count)
        if weights[list(items)].sum() <= capacity
    )
    found = knapsack(weights, values, capacity)
    assert weights[found].sum() <= capacity
    np.testing.assert_allclose(values[found].sum(), best)


@pytest.mark.parametrize(
    "weights, values, capacity, expected",
    [
        ([], [], 5, []),
        ([3], [1.0], 2, []),
        ([3], [1.0], 3, [0]),
        ([3.0, 1.0], [1.0, 2.0], 4.0, [0, 1]),
        ([2, 2, 2], [1, 1, 1], 4, [0, 1]),
        ([1, 1, 1], [0.0, -1.0, 0.5], 3, [2]),
        ([0, 0], [1.0, 0.0], 0, [0]),
        ([10**6, 1], [2.0, 1.0], 10**15, [0, 1]),
    ],
)
def test_cases(weights, values, capacity, expected):
    found = knapsack(np.array(weights), np.array(values), capacity)
    assert found.dtype == np.int64
    assert found.tolist() == expected


@pytest.mark.parametrize(
    "weights, values, capacity, message",
    [
        ([-1], [1.0], 2, r"weights must be whole numbers, at least 0; got -1\."),
        ([1.5], [1.0], 2, "weights must be whole numbers"),
        ([np.nan], [1.0], 2, "weights must be whole numbers"),
        ([[1]], [1.0], 2, r"weights must be \[n\]"),
        ([1], [1.0, 2.0], 2, r"values must be \[n=1\]; got \(2,\)"),
        ([1], [np.nan], 2, "values must be finite"),
        ([1], [1.0], -1, "capacity must be a whole number, at least 0; got -1"),
        ([1], [1.0], 1.5, "capacity must be a whole number"),
        ([1], [1.0], np.nan, "capacity must be a whole number"),
        ([1], [1.0], np.inf, "capacity must be a whole number"),
    ],
)
def test_bad_input_is_named(weights, values, capacity, message):
    with pytest.raises(ValueError, match=message):
        knapsack(np.array(weights), np.array(values), capacity)
