"""Cards of attention by distance, and of the family that joins it with contents."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.kernel_cards import drawing
from benchmarks.kernel_cards.attention import ALL, PLACE
from benchmarks.kernel_cards.card import Card
from gpsattn_jax import kernels

SIDE, (ROW, COLUMN) = drawing.SIDE, drawing.PLACE
MAP = {"query": "T D", "key": "T D", "value": "T E"}
SHAPE = {"options": {"shape": (16, 16)}}


def line_table(channels: int) -> jax.Array:
    """[31, channels]: each channel's own wave of the distance, fading away from it."""
    distance = np.arange(-SIDE + 1, SIDE)[:, None]
    waves = np.cos(distance * np.linspace(0.2, 1.2, channels)[None])
    return jnp.asarray(waves * np.exp(-abs(distance) / 5), jnp.float32)


def map_table() -> jax.Array:
    """[31, 31]: large for near offsets, small for far ones."""
    offset = np.arange(-SIDE + 1, SIDE)
    far = np.hypot(offset[:, None], offset[None])
    return jnp.asarray(4 - 0.9 * far, jnp.float32)


def _column_and_row(attend):
    """Weights of both stages: down the pixel's column, and then along its row."""
    image = drawing.pixels().reshape(SIDE, SIDE, -1)
    down = jax.vmap(attend, in_axes=(1, 1), out_axes=1)
    along = jax.vmap(attend, in_axes=(0, 0))

    def both(values):
        square = values.reshape(image.shape)
        return along(image, down(image, square)).reshape(values.shape)

    column = np.zeros((SIDE, SIDE))
    column[:, COLUMN] = drawing.gathered(
        lambda values: attend(image[:, COLUMN], values), image[:, COLUMN], ROW
    )
    whole = drawing.gathered(both, drawing.pixels(), PLACE)
    return {"its column": column, "columns, then rows": whole}


def _draw_relative():
    table = line_table(9)
    return drawing.over_digit(
        _column_and_row(lambda q, v: kernels.relative_attention(q, v, table))
    )


def _draw_relative_weights():
    line = drawing.pixels().reshape(SIDE, SIDE, -1)[:, COLUMN]
    weights = kernels.relative_weights(line, line_table(9))
    short = kernels.relative_weights(line, line_table(9)[SIDE - 4 : SIDE + 3])
    named = {"all distances": weights, "a table of 7 rows": short}
    return drawing.matrices(named, "query: row", "key: row")


def _draw_axial():
    lines = drawing.pixels().reshape(SIDE, SIDE, -1)
    table = line_table(9)

    def at_place(values):
        return kernels.axial_attention(lines, values, table)[ROW, COLUMN, 0]

    gradient = jax.grad(at_place)(lines)[..., 0]
    both = _column_and_row(lambda q, v: kernels.relative_attention(q, v, table))
    return drawing.over_digit({"its row": gradient} | _last(both))


def _last(named):
    title = list(named)[-1]
    return {title: named[title]}


def _draw_position_sensitive():
    table = 0.3 * line_table(9)

    def attend(line, values):
        return kernels.position_sensitive_attention(
            line, line, values, table, table, 0 * table, scale=0.25
        )

    return drawing.over_digit(_column_and_row(attend))


def _draw_grid():
    x = drawing.pixels()

    def attend(values, table):
        return kernels.grid_attention(x, x, values, table, shape=(SIDE, SIDE))

    flat, near = 0 * map_table(), map_table()
    return drawing.over_digit({
        "a table of zeros": drawing.gathered(lambda v: attend(v, flat), x, PLACE),
        "a table of nearness": drawing.gathered(lambda v: attend(v, near), x, PLACE),
    })  # fmt: skip


def _draw_gated():
    x = drawing.pixels()
    position = kernels.grid_bias(map_table(), shape=(SIDE, SIDE))

    def weights(gate):
        attend = functools.partial(
            lambda v, g: kernels.gated_attention(x, x, v, position, jnp.float32(g)),
            g=gate,
        )
        return drawing.gathered(attend, x, PLACE)

    named = {"gate -5: content": -5, "gate 0": 0, "gate 5: position": 5}
    return drawing.over_digit({title: weights(gate) for title, gate in named.items()})


def _draw_lambda():
    x = drawing.pixels()
    near = jnp.exp(map_table() - 4)
    table = near[..., None] * jnp.linspace(-1, 1, 9)[None, None]

    def weights(scale):
        return drawing.gathered(
            lambda v: kernels.lambda_attention(
                x, x, v, scale * table, shape=(SIDE, SIDE)
            ),
            x,
            PLACE,
        )

    return drawing.over_digit({"content alone": weights(0), "and position": weights(1)})


DISTANCES = (
    Card(
        kernel=kernels.relative_attention,
        equation=r"o_t = \sum_s (q_t \cdot r_{s-t})\, v_s",
        arguments={"query": "T D", "value": "T E", "table": "R D"},
        out="T E",
        work="2*T*T*(D + E)",
        when="Along one line, where the distance alone should decide: pixels of a "
        "column, steps of a short sequence. A short table is a local window. For an "
        "image map it twice, down the columns and along the rows.",
        attends="The query chooses among waves of the distance: its column first, then "
        "the columns of its whole row. There is no softmax, so weights have signs.",
        draw=_draw_relative,
    ),
    Card(
        kernel=kernels.relative_weights,
        equation=r"w_{ts} = q_t \cdot r_{s-t}",
        arguments={"query": "T D", "table": "R D"},
        out="T T",
        work="2*T*T*D",
        when="To see the weights of `relative_attention`.",
        attends="A column of the image: each row of the matrix is a query. With a "
        "table of seven rows nothing farther than three pixels is seen.",
        draw=_draw_relative_weights,
    ),
    Card(
        kernel=kernels.axial_attention,
        equation=r"o_{lt} = \sum_s (q_{lt} \cdot r_{s-t})\, v_{ls}",
        arguments={"query": "L T D", "value": "L T E", "table": "R D"},
        out="L T E",
        work="2*L*T*T*(D + E)",
        sizes={"T": 16, "R": 31},
        when="For many lines that share a table, the columns and rows of images: as "
        "`relative_attention` under `vmap`, with scores made again in the backward "
        "pass and never more than `tile_bytes` of them at a time.",
        attends="The lines are the rows: a pixel sees its own row. After the columns "
        "have been a stage before, it sees the whole image.",
        draw=_draw_axial,
    ),
    Card(
        kernel=kernels.position_sensitive_attention,
        equation=r"o_t = \sum_s \mathrm{softmax}_s(q_t \cdot k_s + q_t \cdot r^q_{s-t} "
        r"+ k_s \cdot r^k_{s-t})\, (v_s + r^v_{s-t})",
        arguments={
            "query": "T D",
            "key": "T D",
            "value": "T E",
            "query_table": "R D",
            "key_table": "R D",
            "value_table": "R E",
        },
        out="T E",
        work="6*T*T*D + 4*T*T*E",
        when="Along lines, where contents and distances should decide together and "
        "weights should be positive. It lays three tables out as [T, T, D], so keep "
        "lines short.",
        attends="Pixels of the column that are alike and near; then the rows of what "
        "the columns have gathered.",
        draw=_draw_position_sensitive,
    ),
    Card(
        kernel=kernels.grid_attention,
        equation=r"o_t = \sum_s \mathrm{softmax}_s(\sigma\, q_t \cdot k_s + "
        r"b_{s-t})\, v_s",
        arguments=MAP | {"table": "31 31"},
        out="T E",
        work="2*T*T*(D + E)",
        **SHAPE,
        when="For small maps (14 x 14, 7 x 7): softmax attention with a learned number "
        "for each offset, the cheapest way to tell it where things are.",
        attends="Pixels like the circled one, everywhere; and with a table that "
        "prefers what is near.",
        draw=_draw_grid,
    ),
    Card(
        kernel=kernels.gated_attention,
        equation=r"o_t = \sum_s \left((1 - g)\, \mathrm{softmax}_s(\sigma\, q_t \cdot "
        r"k_s) + g\, \mathrm{softmax}_s(p_{ts})\right) v_s",
        arguments=ALL | {"position": "T S", "gate": ""},
        out="T E",
        work="2*T*S*(D + E)",
        when="Where heads should begin as convolutions and find out by themselves "
        "whether contents are worth looking at: little data, small maps.",
        attends="The gate leads from contents to places.",
        draw=_draw_gated,
    ),
    Card(
        kernel=kernels.lambda_attention,
        equation=r"o_t = \left(\sum_s \mathrm{softmax}_s(k_s)\, v_s^{\top} + "
        r"\sum_s r_{s-t}\, v_s^{\top}\right)^{\top} q_t",
        arguments=MAP | {"table": "31 31 D"},
        out="T E",
        work="4*T*D*E + 2*T*T*(D + E)",
        **SHAPE,
        when="Where a linear function of the surroundings should be made for each "
        "place and many heads share keys and values. A small table is the lambda "
        "convolution. It lays the table out as [T, T, D]: for small maps.",
        attends="The content lambda is the same for all places; the position lambda "
        "adds what is near, with the query's signs.",
        draw=_draw_lambda,
    ),
)
