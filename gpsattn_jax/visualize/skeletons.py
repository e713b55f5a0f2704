"""Skeletons, their parts, and what attention makes of them."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gpsattn_jax.visualize import figures

Edges = Sequence[tuple[int, int]]

SIDE, WIDEST = 2.0, 11.0  # inches: a panel's longer side, all panels beside each other
ACROSS = 4  # heads or blocks beside each other
# One colour for each person, and for each part or head: those of Okabe and Ito, which
# can be told apart without red or green, but for their yellow and black.
BONES = (figures.MUTED, "#56b4e9", "#e69f00", "#cc79a7")
GROUPS = (
    "#d55e00", "#0072b2", "#e69f00", "#56b4e9",
    "#009e73", "#cc79a7", figures.INK, "#6b5b3e",
)  # fmt: skip
_WARMTH = LinearSegmentedColormap.from_list(
    "warmth", ["#f3efe6", "#f0b45a", "#b5452c", "#4a1020"]
)


def skeleton_strip(
    joints: np.ndarray,
    edges: Edges,
    *,
    weights: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    frames: int = 8,
    titles: Sequence[str] | None = None,
    axes: tuple[int, int] = (0, 1),
    y_down: bool = False,
    label: str = "attention received",
) -> Figure:
    """Frames of a clip beside each other, evenly spread over those that show something.

    All panels have the same limits, and both directions the same scale. Missing joints
    are not drawn, nor are their bones.

    Args:
        joints: [T, V, C] or, of several persons, [M, T, V, C]; NaN where missing.
        edges: the bones.
        weights: [V], [T, V] or [M, T, V], at least 0: the colour and size of the dots.
            The scale begins at 0, so that even attention looks even.
        mask: booleans [T, V] or [M, T, V], false where a joint is missing.
        frames: how many panels at most.
        titles: of each of the T frames; "frame 0" and so on if None.
        axes: the coordinates to the right and upwards.
        y_down: the second of `axes` grows downwards, as in images.
        label: what the weights are, beside the colours.

    Raises:
        ValueError: if shapes or edges do not fit, a weight is below 0 or not finite, or
            no joint is visible.
    """
    points, visible = _points(joints, mask, axes)
    _check_edges(edges, points.shape[2])
    length = points.shape[1]
    if titles is not None and len(titles) != length:
        raise ValueError(f"titles must be T={length}; got {len(titles)}.")
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}.")
    places = np.flatnonzero(visible.any((0, 2)))
    if not len(places):
        raise ValueError("joints must show at least one joint; got none.")
    spread = np.linspace(0, len(places) - 1, min(frames, len(places)))
    places = places[np.rint(spread).astype(int)]
    points, visible = points[:, places], visible[:, places]
    heat = None if weights is None else _weights(weights, length, visible, places)
    figure, panels = _panels(
        points[visible], len(places), y_down, 0.0 if heat is None else 0.9
    )
    scale = None if heat is None else Normalize(0, float(heat[visible].max()) or 1.0)
    named = [f"frame {n}" for n in range(length)] if titles is None else titles
    for place, panel in enumerate(panels):
        figures.hide_axes(panel, named[places[place]])
        for person in range(len(points)):
            at, present = points[person, place], visible[person, place]
            _draw_bones(panel, at, present, edges, BONES[person % len(BONES)])
            part = None if heat is None else heat[person, place]
            dots = _draw_joints(panel, at, present, part, scale)
    if heat is not None:
        _color_bar(figure, dots, panels, label)
    return figure


def parts_figure(
    positions: np.ndarray,
    edges: Edges,
    parts: np.ndarray,
    names: Sequence[str] | None = None,
    *,
    axes: tuple[int, int] = (0, 1),
    y_down: bool = False,
) -> Figure:
    """One skeleton, its joints coloured by part, their numbers beside them.

    Args:
        positions: [V, 2 or 3], one frame of any clip.
        edges: the bones.
        parts: int [V], from 0: GPS-Net's structural positions, say.
        names: of the parts; "part 0" and so on if None.
        axes: the coordinates to the right and upwards.
        y_down: the second of `axes` grows downwards, as in images.

    Raises:
        ValueError: if shapes, edges or parts do not fit, or a position is not finite.
    """
    parts = np.asarray(parts)
    points, visible = _points(np.asarray(positions, float)[None], None, axes)
    at = points[0, 0]
    _check_edges(edges, len(at))
    if not visible.all():
        raise ValueError("positions must be finite; got NaN or infinity.")
    if parts.shape != (len(at),) or not np.issubdtype(parts.dtype, np.integer):
        raise ValueError(
            f"parts must be whole numbers [V={len(at)}]; "
            f"got {parts.dtype} {parts.shape}."
        )
    if names is None:
        names = [f"part {part}" for part in range(parts.max() + 1)]
    if parts.min() < 0 or parts.max() >= len(names):
        raise ValueError(
            f"parts must be from 0 to {len(names) - 1}; got {parts.tolist()}."
        )
    columns = 1 + (len(np.unique(parts)) - 1) // 16
    beside = columns * (0.45 + 0.075 * max(map(len, names)))
    figure, (panel,) = _panels(at, 1, y_down, beside, side=4.5)
    figures.hide_axes(panel, "joints by part")
    _draw_bones(panel, at, visible[0, 0], edges, figures.MUTED, 2.0)
    for part in np.unique(parts):
        color, name = group_color(part, len(names)), names[part]
        panel.scatter(*at[parts == part].T, s=75, color=color, label=name, zorder=3)
    for number, spot in enumerate(_label_spots(at, edges)):
        panel.text(*spot, number, ha="center", va="center", fontsize=7.5, zorder=4)
    figure.legend(
        loc="outside right center", frameon=False, fontsize=8.5, ncols=columns
    )
    return figure


def channel_attention_figure(weights: np.ndarray) -> Figure:
    """How much each channel takes from each other one: a square for each head.

    Args:
        weights: [N, D, D], rows that sum to one.

    Raises:
        ValueError: if that is not their shape, or a weight is not finite.
    """
    weights = np.asarray(weights, float)
    if weights.ndim != 3 or not weights.size or weights.shape[1] != weights.shape[2]:
        raise ValueError(f"weights must be [N, D, D]; got {weights.shape}.")
    count, size = weights.shape[:2]
    _check_finite("weights", weights)
    figure, panels = _squares(count, 1.75, 1.95, 0.95)
    for head, panel in enumerate(panels):
        image = panel.imshow(weights[head], cmap="magma_r", vmin=0, vmax=weights.max())
        figures.tidy(panel, f"head {head}")
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    _outer_labels(figure, "takes from channel", "channel")
    _color_bar(figure, image, panels, f"weight (evenly: {1 / size:.2g})")
    return figure


def geodesic_bias_figure(tables: np.ndarray) -> Figure:
    """The learned bias by distance on the skeleton: a panel for each block.

    Args:
        tables: [blocks, N, R]: of each head a number for each distance in bones.

    Raises:
        ValueError: if that is not their shape, or a number is not finite.
    """
    tables = np.asarray(tables, float)
    if tables.ndim != 3 or not tables.size:
        raise ValueError(f"tables must be [blocks, N, R]; got {tables.shape}.")
    _check_finite("tables", tables)
    blocks, heads, reach = tables.shape
    figure, panels = _squares(blocks, 2.1, 1.9, 0.9)
    colors = [group_color(head, heads) for head in range(heads)]
    room = 0.06 * (np.ptp(tables) or 1.0)
    limits = min(tables.min(), 0.0) - room, max(tables.max(), 0.0) + room
    for block, panel in enumerate(panels):
        panel.axhline(0, color="#d5d9e0", linewidth=0.8, zorder=0)
        for head, color in enumerate(colors):
            panel.plot(
                np.arange(reach),
                tables[block, head],
                color=color,
                linewidth=1.3,
                marker="o",
                markersize=2.5,
                label=f"head {head}" if not block else None,
            )
        figures.tidy(panel, f"block {block}")
        panel.set_ylim(limits)
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(5))
    _outer_labels(figure, "distance in bones", "bias of the logit")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def group_color(part: int, count: int) -> tuple[float, ...] | str:
    """The colour of a part or head among so many."""
    if count <= len(GROUPS):
        return GROUPS[part]
    return colormaps["viridis"](0.95 * part / (count - 1))


def _points(joints, mask, axes):
    """Both drawn coordinates [M, T, V, 2], and which joints are there [M, T, V]."""
    joints = np.asarray(joints, float)
    joints = joints[None] if joints.ndim == 3 else joints
    if (
        joints.ndim != 4
        or not joints.size
        or not 0 <= min(axes) <= max(axes) < (joints.shape[-1])
    ):
        raise ValueError(
            f"joints must be [T, V, C] or [M, T, V, C] with C above {max(axes)}; "
            f"got {joints.shape}."
        )
    points = joints[..., list(axes)]
    visible = np.isfinite(points).all(-1)
    if mask is not None:
        visible = visible & _spread("mask", mask, visible.shape).astype(bool)
    return points, visible


def _spread(name, array, shape):
    """[V], [T, V] or [M, T, V] -> [M, T, V]."""
    array = np.asarray(array)
    if not 1 <= array.ndim <= 3 or array.shape != shape[3 - array.ndim :]:
        persons, length, joints = shape
        raise ValueError(
            f"{name} must be [V={joints}], [T={length}, V] or [M={persons}, T, V]; "
            f"got {array.shape}."
        )
    return np.broadcast_to(array, shape)


def _weights(weights, length, visible, places):
    shape = len(visible), length, visible.shape[-1]
    heat = _spread("weights", weights, shape)[:, places].astype(float)
    if not (np.isfinite(heat[visible]) & (heat[visible] >= 0)).all():
        raise ValueError(
            "weights must be finite and at least 0 where joints are visible."
        )
    return heat


def _check_edges(edges, count):
    for pair in edges:
        if len(pair) != 2 or not 0 <= min(pair) <= max(pair) < count:
            raise ValueError(
                f"edges must join joints from 0 to {count - 1}; got {tuple(pair)}."
            )


def _panels(points, count, y_down, beside, side=SIDE):
    """A figure and its panels with common limits around points [n, 2]."""
    low, high = points.min(0), points.max(0)
    extent = np.maximum(high - low, 0.05 * max(*(high - low), 1e-6))
    room = 0.09 * extent.max()
    low, high = (low + high - extent) / 2 - room, (low + high + extent) / 2 + room
    width, height = side * (high - low) / (high - low).max()
    width, height = max(width, 0.75), max(height, 0.9)  # room for words
    lines = int(np.ceil(count * width / WIDEST))
    across = int(np.ceil(count / lines))
    size = across * (width + 0.08) + beside + 0.1, lines * (height + 0.35)
    figure, panels = _grid(count, size, lines, across)
    for panel in panels:
        panel.set_aspect("equal")
        panel.set_xlim(low[0], high[0])
        panel.set_ylim(*((high[1], low[1]) if y_down else (low[1], high[1])))
    return figure, panels


def _draw_bones(panel, points, visible, edges, color, width=1.6):
    lines = [points[[a, b]] for a, b in edges if visible[a] and visible[b]]
    panel.add_collection(LineCollection(lines, colors=color, lw=width, zorder=1))


def _draw_joints(panel, points, visible, weights, scale):
    if weights is None:
        return panel.scatter(*points[visible].T, s=9, color=figures.INK, zorder=2)
    order = np.flatnonzero(visible)
    order = order[np.argsort(weights[order], kind="stable")]  # the greatest on top
    return panel.scatter(
        *points[order].T,
        s=8 + 52 * scale(weights[order]),
        c=weights[order],
        norm=scale,
        cmap=_WARMTH,
        edgecolors=figures.INK,
        linewidths=0.4,
        zorder=2,
    )


def _label_spots(points, edges):
    """Beside each joint, the direction that is the freest: [V, 2] -> [V, 2]."""
    reach = 0.042 * np.ptp(points, axis=0).max()
    angles = np.arange(16) * np.pi / 8
    around = reach * np.stack([np.cos(angles), np.sin(angles)], -1)
    along = np.linspace(0, 1, 30)[:, None]
    lines = [points[a] * (1 - along) + points[b] * along for a, b in edges]
    taken, spots = np.concatenate([points, *lines]), []
    for point in points:
        found = point + around
        gaps = np.linalg.norm(found[:, None] - taken[None], axis=-1).min(1)
        spots.append(found[gaps.round(9).argmax()])
        taken = np.concatenate([taken, spots[-1][None]])
    return np.array(spots)


def _color_bar(figure, drawn, panels, label):
    bar = figure.colorbar(drawn, ax=panels, shrink=0.85, pad=0.015, aspect=18)
    bar.set_label(label, fontsize=8, color=figures.INK)
    bar.ax.tick_params(labelsize=7, colors=figures.INK)
    bar.outline.set_visible(False)


def _check_finite(name, numbers):
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity.")


def _squares(count, width, height, beside):
    """A figure and `count` panels of so many inches, in lines of equal length."""
    lines = -(-count // ACROSS)
    across = -(-count // lines)
    size = across * width + beside + 0.3, lines * height + 0.3
    return _grid(count, size, lines, across)


def _grid(count, size, lines, across):
    figure, panels = figures.new_figure(size[0], size[1], lines, across)
    # A bar beside an incomplete line is given too little room otherwise.
    figure.get_layout_engine().set(w_pad=0.07, h_pad=0.06)
    for panel in panels.flat[count:]:
        panel.remove()
    return figure, list(panels.flat[:count])


def _outer_labels(figure, below, left):
    figure.supxlabel(below, fontsize=9, color=figures.INK)
    figure.supylabel(left, fontsize=9, color=figures.INK)
