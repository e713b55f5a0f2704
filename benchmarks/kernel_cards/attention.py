"""Cards of attention by contents: softmax, linear, between channels."""

import functools

import jax.numpy as jnp
import numpy as np

from benchmarks.kernel_cards import drawing
from benchmarks.kernel_cards.card import Card
from benchmarks.kernel_cards.clip import joints, joints_over_time
from gpsattn_jax import kernels

QUERY, KEY, VALUE = {"query": "T D"}, {"key": "S D"}, {"value": "S E"}
ALL = QUERY | KEY | VALUE
PLACE = drawing.PLACE[0] * drawing.SIDE + drawing.PLACE[1]
HEADS = {"query": "N T D", "key": "N S D", "value": "N S E"}


def _over_digit(attend, title):
    x = drawing.pixels()
    weights = drawing.gathered(functools.partial(attend, x, x), x, PLACE)
    return drawing.over_digit({title: weights})


def _draw_attend():
    return _over_digit(kernels.attend, "weights of values")


def _draw_attention_weights():
    x = drawing.pixels()
    near = _distance_from_place() <= 4
    mask = jnp.broadcast_to(near[None], (len(x), len(x)))
    whole = kernels.attention_weights(x, x)[PLACE]
    masked = kernels.attention_weights(x, x, None, mask)[PLACE]
    sharp = kernels.attention_weights(x, x, scale=1.0)[PLACE]
    return drawing.over_digit({"as it is": whole, "mask": masked, "scale=1": sharp})


def _distance_from_place():
    row, column = np.divmod(np.arange(drawing.SIDE**2), drawing.SIDE)
    return np.maximum(abs(row - drawing.PLACE[0]), abs(column - drawing.PLACE[1]))


def _draw_attend_blocked():
    steps = joints_over_time()  # [T, D]
    bias = functools.partial(kernels.alibi_bias, slope=0.1)

    def attend(values):
        return kernels.attend_blocked(steps, steps, values, bias, length=40, block=16)

    weights = [drawing.gathered(attend, steps, t) for t in range(len(steps))]
    return drawing.matrices({"weights, keys from 40 on hidden": np.stack(weights)},
                            "query: frame", "key: frame")  # fmt: skip


def _draw_content():
    return _over_digit(kernels.content_attention, "weights of values")


def _draw_content_weights():
    x = drawing.pixels()
    spread = kernels.content_weights(jnp.eye(9), x)  # one channel asks at a time
    here = kernels.content_weights(x[PLACE : PLACE + 1], x)[0]
    named = {"query": here, "channel 0": spread[0], "channel 4": spread[4]}
    return drawing.over_digit(named)


def _draw_channels(temperature):
    moves = joints() - joints().mean(0)
    height = jnp.asarray(moves[..., 1])  # [T, V]: joints are the channels here
    weights = kernels.channel_weights(height, height, jnp.float32(temperature))
    return height, weights


def _draw_channel_weights():
    named = {f"temperature {t}": _draw_channels(t)[1] for t in (1, 8)}
    return drawing.matrices(named, "joint", "joint")


def _draw_channel_attention():
    height, _ = _draw_channels(8)
    out = kernels.channel_attention(height, height, height, jnp.float32(8))
    named = {"value: how joints rise": height.T, "what they gather": out.T}
    return drawing.matrices(named, "joint", "frame")


ATTENTION = (
    Card(
        kernel=kernels.attend,
        equation=r"o_t = \sum_s \mathrm{softmax}_s(\sigma\, q_t \cdot k_s + b_{ts})\, "
        r"v_s",
        arguments=ALL,
        out="T E",
        work="2*T*S*(D + E)",
        when="Whenever there are at most some thousand places: it is the plain form, "
        "with any bias and any mask. For longer sequences take `attend_blocked`, for "
        "large maps `content_attention` or attention along lines.",
        attends="The circled pixel gathers from all pixels whose surroundings are like "
        "its own, wherever they are. Weights are positive and sum to one.",
        draw=_draw_attend,
    ),
    Card(
        kernel=kernels.attention_weights,
        equation=r"w_{ts} = \mathrm{softmax}_s(\sigma\, q_t \cdot k_s + b_{ts})",
        arguments=QUERY | KEY,
        out="T S",
        work="2*T*S*D",
        when="To see the weights, or to do something to them before they meet the "
        "values, as dropout does.",
        attends="The same pixel's weights; with a mask that hides what is more than "
        "four pixels away; and with larger logits, which make them sharper.",
        draw=_draw_attention_weights,
    ),
    Card(
        kernel=kernels.attend_blocked,
        equation=r"o_t = \sum_{s < \ell} \mathrm{softmax}_s(\sigma\, q_t \cdot k_s "
        r"+ b(t, s, \ell))\, v_s",
        arguments=HEADS,
        out="N T E",
        work="2*N*T*S*(D + E)",
        options={"bias_of": kernels.no_bias, "length": 256, "block": 64},
        when="For long sequences: memory grows with the length alone, in the backward "
        "pass, too. The bias is a function of indices; what it learns goes in as "
        "`bias_data`. It sees all heads, to make the bias once.",
        attends="Every frame of a clip looks at the others, less the farther they are; "
        "keys from the length on are hidden, whatever stands there. Blocks of queries "
        "leave no trace in the numbers.",
        draw=_draw_attend_blocked,
        note="*compiled*: XLA's counts, for a processor; it counts the body of a loop "
        "over blocks once.",
    ),
    Card(
        kernel=kernels.content_attention,
        equation=r"o_t = \sum_d q_{td} \sum_s \mathrm{softmax}_s(k_{sd})\, v_s",
        arguments=ALL,
        out="T E",
        work="2*S*D*E + 2*T*D*E",
        when="For large maps: the cost is linear in the number of places, and there is "
        "no [T, S] matrix. It does not know where anything is: put a kernel of "
        "distances beside it.",
        attends="Each channel of the keys spreads one unit of weight over the image, "
        "and the query mixes these spreads; its own channels, which have signs, say by "
        "how much.",
        draw=_draw_content,
    ),
    Card(
        kernel=kernels.content_weights,
        equation=r"w_{ts} = \sum_d q_{td}\, \mathrm{softmax}_s(k_{sd})",
        arguments=QUERY | KEY,
        out="T S",
        work="2*T*S*D",
        when="For pictures of a few queries; to compute with, take "
        "`content_attention`, which never makes this matrix.",
        attends="What the circled pixel multiplies values with, and the spreads of two "
        "of the nine channels that it mixes.",
        draw=_draw_content_weights,
    ),
    Card(
        kernel=kernels.channel_attention,
        equation=r"o_{td} = \sum_e \mathrm{softmax}_e(\tau\, \hat q_{\cdot d} \cdot "
        r"\hat k_{\cdot e})\, v_{te}",
        arguments={"query": "T D", "key": "T E", "value": "T E", "temperature": ""},
        out="T D",
        work="4*T*D*E",
        when="Where channels mean something and places are many: the cost is linear in "
        "the places. Put a code of time into queries and keys, or it does not know the "
        "order of places.",
        attends="A person claps. The channels are how high each of 17 joints is, "
        "off its own mean: each gathers from the joints that move as it does.",
        draw=_draw_channel_attention,
    ),
    Card(
        kernel=kernels.channel_weights,
        equation=r"w_{de} = \mathrm{softmax}_e\left(\tau\, \frac{q_{\cdot d} \cdot "
        r"k_{\cdot e}}{|q_{\cdot d}|\, |k_{\cdot e}|}\right)",
        arguments={"query": "T D", "key": "T E", "temperature": ""},
        out="D E",
        work="2*T*D*E",
        when="To see the weights of `channel_attention`.",
        attends="Joints of the clapping person that move alike, at two temperatures: "
        "elbows and wrists (7 to 10) find each other.",
        draw=_draw_channel_weights,
    ),
)
