"""Cards of convolutions, of maps and of sequences."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.kernel_cards import drawing
from benchmarks.kernel_cards.card import Card
from benchmarks.kernel_cards.clip import joints
from gpsattn_jax import kernels
from gpsattn_jax.visualize import figures

# An edge, a spot and a blur: 3 x 3.
EDGE = np.outer([1, 2, 1], [-1, 0, 1]) / 4
SPOT = np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]) / 8
BLUR = np.ones((3, 3)) / 9


def _draw_depthwise():
    image = jnp.asarray(drawing.digit())[None, :, :, None]
    filters = {"an edge": EDGE, "a spot": SPOT, "a blur": BLUR}
    found = {
        title: kernels.depthwise_conv(image, jnp.asarray(f, jnp.float32)[..., None])
        for title, f in filters.items()
    }
    return drawing.over_digit({t: out[0, ..., 0] for t, out in found.items()},
                              mark=False)  # fmt: skip


def _draw_mix():
    groups = jnp.asarray(np.stack([EDGE, SPOT, BLUR]), jnp.float32)  # [G, K, K]
    bank = jnp.moveaxis(groups, 0, 2)[..., None]  # [K, K, G, C]
    logits = jnp.asarray([0.0, 1.0, 2.0])[None, None, :, None]
    mixed = kernels.mix_kernels(jnp.broadcast_to(logits, bank.shape), bank)
    named = {"group 0": EDGE, "group 1": SPOT, "group 2": BLUR}
    figure, axes = figures.new_figure(7.6, 2.1, 1, 4)
    for panel, (title, f) in zip(
        axes[0], (named | {"mixed": mixed[..., 0]}).items(), strict=True
    ):
        drawing.draw_weights(panel, np.asarray(f), title)
    return figure


def _draw_temporal():
    height = jnp.asarray(joints()[:, [9]][..., 1])  # of a wrist: [T, 1]
    smooth = jnp.full((7, 1), 1 / 7)
    change = jnp.asarray([[-1.0], [0.0], [1.0]])
    lines = {"height of a wrist": height,
             "smoothed": kernels.temporal_conv(height, smooth),
             "its change": kernels.temporal_conv(height, change)}  # fmt: skip
    return _curves(lines, "frame")


def _curves(lines, label):
    figure, axes = figures.new_figure(5.5, 2.4)
    panel = axes[0, 0]
    colours = (figures.MUTED, figures.SECOND, figures.ACCENT)
    for (title, line), colour in zip(lines.items(), colours, strict=False):
        panel.plot(np.asarray(line), label=title, color=colour, lw=1.8)
    figures.tidy(panel)
    panel.set_xlabel(label, fontsize=8, color=figures.INK)
    panel.legend(fontsize=8, frameon=False)
    return figure


def _draw_gelu():
    x = jnp.linspace(-4, 4, 161)
    figure, axes = figures.new_figure(4.2, 2.4)
    panel = axes[0, 0]
    panel.plot(x, jnp.maximum(x, 0), color=figures.MUTED, lw=1.4, label="ReLU")
    panel.plot(x, kernels.gelu(x), color=figures.ACCENT, lw=2, label="gelu")
    slope = jax.vmap(jax.grad(lambda x: kernels.gelu(x)))(x)
    panel.plot(x, slope, color=figures.SECOND, lw=1.4, label="its derivative")
    figures.tidy(panel)
    panel.legend(fontsize=8, frameon=False)
    return figure


def _draw_pool():
    image = jnp.asarray(drawing.digit())[..., None]
    figure, axes = figures.new_figure(5.7, 2.1, 1, 3)
    drawing.draw_image(axes[0, 0], drawing.digit(), "16 x 16")
    for panel, size in zip(axes[0, 1:], (7, 4), strict=True):
        pooled = kernels.adaptive_average_pool(image, size)[..., 0]
        drawing.draw_image(panel, np.asarray(pooled), f"{size} x {size}")
    return figure


def _draw_resize():
    small = kernels.adaptive_average_pool(jnp.asarray(drawing.digit())[..., None], 8)
    figure, axes = figures.new_figure(5.7, 2.1, 1, 3)
    drawing.draw_image(axes[0, 0], np.asarray(small[..., 0]), "8 x 8")
    for panel, shape in zip(axes[0, 1:], ((14, 14), (32, 32)), strict=True):
        large = kernels.resize_bicubic(small[..., 0], shape)
        drawing.draw_image(panel, np.asarray(large), f"{shape[0]} x {shape[1]}")
    return figure


STEPS, LENGTH = 22, 18  # of a sequence, and without its padding


def _numbers():
    return jnp.arange(1.0, STEPS + 1)[:, None]


def _strips(named):
    """Sequences [T] and segments [M, n] as rows of coloured cells."""
    figure, axes = figures.new_figure(5.7, 2.6, len(named), 1)
    for panel, (title, cells) in zip(axes[:, 0], named.items(), strict=True):
        cells = np.atleast_2d(np.asarray(cells))
        panel.imshow(np.ma.masked_equal(cells, 0), cmap="viridis", vmin=1, vmax=STEPS)
        panel.set_title(title, loc="left", fontsize=9, color=figures.INK)
        panel.set_xticks([])
        panel.set_yticks([])
    return figure


def _padded():
    steps = _numbers()
    return jnp.where(steps <= LENGTH, steps, 0)


def _own_steps(segments):
    """Without what lies beyond each segment's own length."""
    size = -(-LENGTH // 4)
    place = jnp.arange(segments.shape[1])[None] + size * jnp.arange(4)[:, None]
    inside = (jnp.arange(segments.shape[1]) < size)[None] & (place < LENGTH)
    return jnp.where(inside, segments, 0)


def _draw_split():
    segments = kernels.split_segments(_padded(), LENGTH, 4)[..., 0]
    return _strips({"22 steps, 18 of them real": _padded()[:, 0],
                    "4 segments": _own_steps(segments)})  # fmt: skip


def _draw_join():
    segments = kernels.split_segments(_padded(), LENGTH, 4)
    joined = kernels.join_segments(segments, LENGTH, STEPS)[:, 0]
    real = jnp.where(jnp.arange(STEPS) < LENGTH, joined, 0)
    return _strips({"4 segments": _own_steps(segments[..., 0]),
                    "joined": real})  # fmt: skip


CONVOLUTIONS = (
    Card(
        kernel=kernels.depthwise_conv,
        equation=r"y_{bijc} = \sum_{k, l} f_{klc}\, x_{b, i + k, j + l, c}",
        arguments={"x": "B H W C", "filters": "K K C"},
        out="B H W C",
        work="2*B*H*W*C*K**2",
        when="For what is near: each channel with a filter of its own, shared by all "
        "examples or made for each ([B, K, K, C]). On processors it is a sum of "
        "shifted products, several times as fast as XLA's grouped convolution.",
        attends="Three filters of 3 x 3 on the digit.",
        draw=_draw_depthwise,
        note="*compiled*: XLA's counts, for a processor: taps that meet the zeros "
        "around the map count as well.",
    ),
    Card(
        kernel=kernels.mix_kernels,
        equation=r"f_{klc} = \sum_g \mathrm{softmax}_g(a_{klgc})\, f_{klgc}",
        arguments={"logits": "K K G C", "kernels": "K K G C"},
        out="K K C",
        work="2*K**2*G*C",
        when="To make a filter for each example out of a bank of them, as TransXNet's "
        "dynamic convolution does; `depthwise_conv` then applies it.",
        attends="A bank of three filters, mixed with logits 0, 1 and 2.",
        draw=_draw_mix,
    ),
    Card(
        kernel=kernels.temporal_conv,
        equation=r"y_{tc} = \sum_k f_{kc}\, x_{t + k - \lfloor K / 2 \rfloor, c}",
        arguments={"x": "T C", "filters": "K C"},
        out="T C",
        work="2*T*C*K",
        when="Along time, each channel by itself; strided, to halve the frames.",
        attends="The height of a wrist while a person claps, smoothed over seven "
        "frames, and its change; at both ends it meets the zeros around the clip.",
        draw=_draw_temporal,
    ),
)

SEQUENCES = (
    Card(
        kernel=kernels.adaptive_average_pool,
        equation=r"y_{klc} = \mathrm{mean}_{(i, j) \in \mathrm{bin}(k, l)}\, x_{ijc}",
        arguments={"x": "H W C"},
        out="4 4 C",
        work="H*W*C",
        options={"size": 4},
        when="To look at a map of any size through a window of fixed size, as dynamic "
        "filters do. Bins overlap where the size does not divide the map.",
        attends="The digit in bins of 7 x 7, which overlap, and of 4 x 4.",
        draw=_draw_pool,
    ),
    Card(
        kernel=kernels.resize_bicubic,
        equation=r"y_u = \sum_{k=-1}^{2} c(u' - \lfloor u' \rfloor - k)\, "
        r"x_{\lfloor u' \rfloor + k}, \quad u' = \left(u + \frac{1}{2}\right) "
        r"\frac{T}{T'} - \frac{1}{2}",
        arguments={"array": "14 14"},
        out="16 16",
        work="8*(16*14 + 16*16)",
        options={"shape": (16, 16)},
        when="For tables of positions at another size of image: PyTorch's numbers, "
        "which `jax.image.resize` does not give.",
        attends="A digit of 8 x 8 at two larger sizes.",
        draw=_draw_resize,
    ),
    Card(
        kernel=kernels.split_segments,
        equation=r"y_{mi} = x_{m n + i}, \quad n = \lceil \ell / M \rceil",
        arguments={"x": "T C"},
        out="4 64 C",
        work="0",
        options={"length": 250, "num_segments": 4},
        when="For attention within parts of a sequence; the cuts follow the true "
        "length, so that padding changes nothing.",
        attends="A sequence of 22 steps, of which 18 are real, in four segments of "
        "five; the last one has three.",
        draw=_draw_split,
    ),
    Card(
        kernel=kernels.join_segments,
        equation=r"x_t = y_{\lfloor t / n \rfloor,\; t \bmod n}",
        arguments={"segments": "4 64 C"},
        out="T C",
        work="0",
        options={"length": 250, "num_steps": 256},
        when="After `split_segments`; steps beyond the true length mean nothing.",
        attends="The four segments, joined again.",
        draw=_draw_join,
    ),
    Card(
        kernel=kernels.gelu,
        equation=r"y = x\, \Phi(x) = \frac{x}{2} \left(1 + \mathrm{erf}\, "
        r"\frac{x}{\sqrt 2}\right)",
        arguments={"x": "T C"},
        out="T C",
        work="0",
        when="Where weights were trained with the exact GELU: it is a polynomial, on "
        "processors several times as fast as XLA's error function.",
        attends="The curve, its derivative, and ReLU behind them.",
        draw=_draw_gelu,
    ),
)
