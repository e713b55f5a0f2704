"""Cards of positions: biases on logits, and rotations of queries and keys."""

import functools

import jax.numpy as jnp
import numpy as np

from benchmarks.kernel_cards import drawing
from benchmarks.kernel_cards.attention import PLACE
from benchmarks.kernel_cards.card import Card
from benchmarks.kernel_cards.clip import LAYOUT
from benchmarks.kernel_cards.distances import map_table
from gpsattn_jax import graphs, kernels

INDICES = {"rows": "T 1", "columns": "1 S"}
STEPS = 60


def _matrix(bias):
    rows = jnp.arange(STEPS)
    return bias(rows[:, None], rows[None], STEPS)


def _draw_bias(named):
    return drawing.matrices(
        {title: _matrix(bias) for title, bias in named.items()},
        "query: step", "key: step",
    )  # fmt: skip


def _draw_absolute():
    wide = functools.partial(kernels.absolute_bias, channels=1024)
    narrow = functools.partial(kernels.absolute_bias, channels=32)
    return _draw_bias({"channels=1024": wide, "channels=32": narrow})


def _draw_relative():
    low = functools.partial(kernels.relative_bias, frequency=100.0)
    return _draw_bias({"frequency 10,000": kernels.relative_bias, "frequency 100": low})


def _draw_none():
    return _draw_bias({"zero": kernels.no_bias})


def _draw_alibi():
    named = {
        f"slope {slope}": functools.partial(kernels.alibi_bias, slope=slope)
        for slope in (0.5, 0.0625)
    }
    weights = {
        title: kernels.attention_weights(
            jnp.zeros((STEPS, 1)), jnp.zeros((STEPS, 1)), _matrix(bias)
        )
        for title, bias in named.items()
    }
    return drawing.matrices(weights, "query: step", "key: step")


def _distances():
    neighbours = graphs.neighbours_of(len(LAYOUT.joints), LAYOUT.edges)
    found = [graphs.distances_from(v, neighbours) for v in range(len(neighbours))]
    return np.asarray(found).astype(int)


def _draw_geodesic():
    distances = _distances()
    table = jnp.exp(-jnp.arange(distances.max() + 1) / 2.0)
    named = {"bones between joints": -distances, "a number for each": table[distances]}
    return drawing.matrices(named, "joint", "joint")


def _draw_grid_bias():
    bias = kernels.grid_bias(map_table(), shape=(drawing.SIDE, drawing.SIDE))
    other = 3 * drawing.SIDE + 3
    return drawing.over_digit(
        {"of the circled pixel": bias[PLACE] - bias.mean(),
         "of pixel (3, 3)": bias[other] - bias.mean()}
    )  # fmt: skip


def _draw_rotary():
    ones = jnp.ones((drawing.SIDE**2, 32))
    turned = kernels.rotary_2d(ones, shape=(drawing.SIDE, drawing.SIDE))
    slow = kernels.rotary_2d(ones, shape=(drawing.SIDE, drawing.SIDE), frequency=100.0)
    return drawing.over_digit(
        {"frequency 10,000": turned @ turned[PLACE],
         "frequency 100": slow @ slow[PLACE]}
    )  # fmt: skip


POSITIONS = (
    Card(
        kernel=kernels.absolute_bias,
        equation=r"b_{ts} = \sin\left(\frac{t}{f^{2 k / C}} + \frac{\pi}{2}\, "
        r"(s \bmod 2)\right), \quad k = \lfloor s / 2 \rfloor",
        arguments=INDICES,
        out="T S",
        work="0",
        options={"length": 256, "channels": 1024},
        when="For PGL-SUM as it was published. The key's index plays the part of a "
        "frequency, so it is a pattern of rows, and no distance.",
        attends="What is added to the logits of 60 steps. With few channels the waves "
        "grow long sooner.",
        draw=_draw_absolute,
    ),
    Card(
        kernel=kernels.relative_bias,
        equation=r"b_{ts} = \sin\left(\frac{s - t + \ell - 1}{f^{(t + s) / 2 \ell}} + "
        r"\frac{\pi}{2}\, (s \bmod 2)\right)",
        arguments=INDICES,
        out="T S",
        work="0",
        options={"length": 256},
        when="PGL-SUM's other choice.",
        attends="What is added to the logits of 60 steps, for two bases of the "
        "wavelengths.",
        draw=_draw_relative,
    ),
    Card(
        kernel=kernels.no_bias,
        equation=r"b_{ts} = 0",
        arguments=INDICES,
        out="T S",
        work="0",
        options={"length": 256},
        when="For attention that shall not know where anything is: the row of a table "
        "that has no positions.",
        attends="Zero everywhere.",
        draw=_draw_none,
    ),
    Card(
        kernel=kernels.alibi_bias,
        equation=r"b_{ts} = -m\, |t - s|, \quad m_n = 2^{-8 (n + 1) / N}",
        arguments=INDICES,
        out="T S",
        work="0",
        options={"slope": 0.5},
        when="For sequences longer than those it was trained on: it has nothing to "
        "learn and no table to run out of.",
        attends="Weights of 60 steps whose contents are all alike, for a steep and a "
        "flat head.",
        draw=_draw_alibi,
    ),
    Card(
        kernel=kernels.geodesic_bias,
        equation=r"b_{uv} = r_{d(u, v)}",
        arguments={"table": "9"},
        out="V V",
        work="0",
        sizes={"V": 17},
        options={"distances": _distances()},
        when="On graphs of fixed shape, joints of a body: a number for each number of "
        "bones between them.",
        attends="17 joints of a body: how many bones lie between them (blue is far), "
        "and a bias that prefers the near ones.",
        draw=_draw_geodesic,
    ),
    Card(
        kernel=kernels.grid_bias,
        equation=r"b_{ts} = r_{(i_s - i_t,\; j_s - j_t)}",
        arguments={"table": "31 31"},
        out="256 256",
        work="0",
        options={"shape": (16, 16)},
        when="As the bias of `attend` over a map; `grid_attention` does both. Tables "
        "of PyTorch count offsets the other way round.",
        attends="One row of the bias, as a map: the same table, moved to two pixels.",
        draw=_draw_grid_bias,
    ),
    Card(
        kernel=kernels.rotary_2d,
        equation=r"x_{2c} + i\, x_{2c+1} \to e^{i\, p\, f^{-4 c / D}}\, (x_{2c} + i\, "
        r"x_{2c+1})",
        arguments={"x": "T D"},
        out="T D",
        work="0",
        options={"shape": (16, 16)},
        when="On queries and keys alike, before any softmax attention over a map: "
        "products then depend on offsets alone, with nothing to learn. p is the row in "
        "the first half of the channels and the column in the second.",
        attends="Products of the circled pixel's turned vector with all others, where "
        "all vectors were the same before.",
        draw=_draw_rotary,
    ),
)
