"""Skeleton pictures: which joints and bones are drawn, where, in which colour."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")

from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba

from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.confusion import confusion_figure
from gpsattn_jax.visualize.skeletons import (
    channel_attention_figure,
    geodesic_bias_figure,
    group_color,
    parts_figure,
    skeleton_strip,
)

draw = np.random.default_rng(0)
EDGES = [(0, 1), (1, 2), (1, 3), (0, 4), (0, 5)]
# Hip, neck, head, hand and two feet; the second coordinate is the height.
PERSON = np.array([[0, 1], [0, 1.6], [0, 1.9], [0.5, 1.2], [-0.2, 0], [0.2, 0]])
CLIP = PERSON + 0.02 * draw.normal(size=(11, 6, 2))


def dots(panel):
    found = [c for c in panel.collections if isinstance(c, PathCollection)]
    return np.concatenate([np.ma.getdata(one.get_offsets()) for one in found])


def bones(panel):
    found = [c for c in panel.collections if isinstance(c, LineCollection)]
    return [line for one in found for line in one.get_segments()]


def pixels(figure, tmp_path):
    from PIL import Image

    path = figures.write(figure, tmp_path / "figure.png")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def titles(panels):
    """Above each panel, or above its left end."""
    return [panel.get_title() or panel.get_title("left") for panel in panels]


def ink_at_the_edge(figure, tmp_path):
    """Whether anything touches the edge of the picture, and so may be cut."""
    dark = pixels(figure, tmp_path).min(-1) < 250
    return dark[[0, -1]].any() or dark[:, [0, -1]].any()


def test_panels_are_evenly_spread_frames_with_common_limits():
    panels = skeleton_strip(CLIP, EDGES, frames=6).axes
    assert titles(panels) == [f"frame {n}" for n in (0, 2, 4, 6, 8, 10)]
    for frame, panel in zip(range(0, 11, 2), panels, strict=True):
        np.testing.assert_allclose(dots(panel), CLIP[frame])
        assert len(bones(panel)) == len(EDGES)
        assert panel.get_aspect() == 1
        assert panel.get_xlim() == panels[0].get_xlim()
        assert panel.get_ylim() == panels[0].get_ylim()
    low, high = CLIP[::2].min((0, 1)), CLIP[::2].max((0, 1))
    assert panels[0].get_xlim()[0] < low[0] < high[0] < panels[0].get_xlim()[1]
    assert panels[0].get_ylim()[0] < low[1] < high[1] < panels[0].get_ylim()[1]


def test_short_clips_have_fewer_panels():
    assert len(skeleton_strip(CLIP[:3], EDGES).axes) == 3
    assert len(skeleton_strip(CLIP[:1], EDGES, weights=np.ones(6)).axes) == 2  # a bar


@pytest.mark.parametrize("y_down", [False, True])
def test_the_head_is_above_the_feet(tmp_path, y_down):
    points = PERSON * [1, -1] if y_down else PERSON
    weights = np.zeros(6)
    weights[2] = 1  # the head alone is dark red
    figure = skeleton_strip(points[None], EDGES, weights=weights, y_down=y_down)
    shown = pixels(figure, tmp_path)[:, :150]  # without the bar
    red = (np.abs(shown - np.array((0x4A, 0x10, 0x20))).max(-1) < 5).nonzero()[0]
    grey = (np.abs(shown - np.array((0x8A, 0x93, 0xA3))).max(-1) < 5).nonzero()[0]
    assert len(red) and red.max() < grey.min() + 0.2 * np.ptp(grey)


def test_other_axes_of_three():
    solid = np.stack([CLIP[..., 0], 7 + CLIP[..., 0], CLIP[..., 1]], -1)
    panel = skeleton_strip(solid, EDGES, frames=1, axes=(0, 2)).axes[0]
    np.testing.assert_allclose(dots(panel), CLIP[0])


def test_missing_joints_and_their_bones_are_not_drawn():
    clip, mask = CLIP.copy(), np.ones((11, 6), bool)
    mask[0, 1] = False  # the neck: three bones
    clip[10, 3] = np.nan
    clip[5:7] = np.nan  # whole frames: not shown
    panels = skeleton_strip(clip, EDGES, mask=mask, frames=9).axes
    assert "frame 5" not in titles(panels) and len(panels) == 9
    counts = [(len(dots(panel)), len(bones(panel))) for panel in panels]
    assert counts == [(5, 2), *[(6, 5)] * 7, (5, 4)]


def test_colour_and_size_follow_the_weights_on_one_scale():
    weights = draw.random((11, 6))
    figure = skeleton_strip(CLIP, EDGES, weights=weights, frames=3, label="weight")
    *panels, bar = figure.axes
    assert bar.get_ylabel() == "weight"
    most = weights[[0, 5, 10]].max()
    for frame, panel in zip((0, 5, 10), panels, strict=True):
        (shown,) = [c for c in panel.collections if isinstance(c, PathCollection)]
        assert shown.get_clim() == (0, most)
        order = weights[frame].argsort()  # the greatest is drawn last
        np.testing.assert_allclose(shown.get_array(), weights[frame][order])
        np.testing.assert_allclose(shown.get_offsets(), CLIP[frame][order])
        assert (np.diff(shown.get_sizes()) > 0).all()


def test_the_weight_of_a_missing_joint_sets_no_scale():
    weights = np.ones((11, 6))
    weights[:, 3] = np.inf
    mask = np.isfinite(weights)
    panel = skeleton_strip(CLIP, EDGES, weights=weights, mask=mask).axes[0]
    assert panel.collections[-1].get_clim() == (0, 1)


def test_several_persons_share_a_panel():
    both = np.stack([CLIP, CLIP + [1.0, 0.0]])
    both[1, 5:] = np.nan
    weights = draw.random((2, 11, 6))
    first, _, last, _ = skeleton_strip(both, EDGES, weights=weights, frames=3).axes
    assert len(dots(first)) == 12 and len(dots(last)) == 6
    one, other = [c for c in first.collections if isinstance(c, LineCollection)]
    assert not np.array_equal(one.get_colors(), other.get_colors())


WIDE = np.stack([3 * CLIP[..., 1], 0.01 * CLIP[..., 0]], -1)  # lies on the floor


@pytest.mark.parametrize("clip", [CLIP, WIDE, np.ones((2, 6, 2))])
@pytest.mark.parametrize("weights", [None, np.ones(6), np.zeros(6)])
def test_nothing_is_cut(tmp_path, clip, weights):
    figure = skeleton_strip(clip, EDGES, weights=weights)
    assert not ink_at_the_edge(figure, tmp_path)


def test_titles_are_those_of_the_frames():
    words = [f"{n / 10} s" for n in range(11)]
    panels = skeleton_strip(CLIP, EDGES, frames=2, titles=words).axes
    assert titles(panels) == ["0.0 s", "1.0 s"]


@pytest.mark.parametrize("change, why", [
    ({"joints": CLIP[0]}, r"joints must be \[T, V, C\]"),
    ({"axes": (0, 2)}, "with C above 2"),
    ({"edges": [(0, 6)]}, r"edges must join joints from 0 to 5; got \(0, 6\)"),
    ({"weights": np.ones(5)}, r"weights must be \[V=6\]"),
    ({"weights": -np.ones(6)}, "weights must be finite and at least 0"),
    ({"mask": np.ones((10, 6))}, r"mask must be .*T=11"),
    ({"mask": np.zeros((11, 6))}, "at least one joint; got none"),
    ({"titles": ["a"]}, "titles must be T=11; got 1"),
    ({"frames": 0}, "frames must be at least 1"),
])  # fmt: skip
def test_what_makes_no_strip_is_refused(change, why):
    with pytest.raises(ValueError, match=why):
        skeleton_strip(**({"joints": CLIP, "edges": EDGES} | change))


def test_parts_have_colours_numbers_and_names(tmp_path):
    parts, names = np.array([0, 1, 2, 2, 1, 1]), ["trunk", "near", "far", "nowhere"]
    figure = parts_figure(PERSON, EDGES, parts, names)
    (panel,), (legend,) = figure.axes, figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names[:3]
    assert sorted(text.get_text() for text in panel.texts) == list("012345")
    for part, group in enumerate(panel.collections[1:]):
        np.testing.assert_allclose(group.get_offsets(), PERSON[parts == part])
        color = to_rgba(group_color(part, 4))
        np.testing.assert_allclose(group.get_facecolors()[0], color)
    assert not ink_at_the_edge(figure, tmp_path)


def test_numbers_stand_beside_their_joints_and_not_on_each_other():
    panel = parts_figure(PERSON, EDGES, np.arange(6)).axes[0]
    spots = np.array([text.get_position() for text in panel.texts])
    apart = np.linalg.norm(spots[:, None] - PERSON, axis=-1)
    np.testing.assert_array_equal(apart.argmin(1), np.arange(6))
    between = np.linalg.norm(spots[:, None] - spots, axis=-1) + np.eye(6)
    assert between.min() > apart.min() > 0.05


def test_colours_differ_however_many_parts_there_are():
    for count in (1, 8, 25):
        colors = {to_rgba(group_color(part, count)) for part in range(count)}
        assert len(colors) == count


@pytest.mark.parametrize("change, why", [
    ({"positions": PERSON[0]}, "must be"),
    ({"positions": PERSON * np.nan}, "positions must be finite"),
    ({"parts": np.arange(5)}, r"parts must be whole numbers \[V=6\]"),
    ({"parts": np.zeros(6)}, "whole numbers"),
    ({"parts": np.arange(6), "names": "ab"}, "parts must be from 0 to 1"),
    ({"parts": np.arange(6) - 1}, "parts must be from 0 to 4"),
])  # fmt: skip
def test_what_has_no_parts_is_refused(change, why):
    given = {"positions": PERSON, "edges": EDGES, "parts": np.zeros(6, int)}
    with pytest.raises(ValueError, match=why):
        parts_figure(**(given | change))


@pytest.mark.parametrize("heads", [1, 4, 5, 8])
def test_each_head_has_its_square_on_one_scale(tmp_path, heads):
    weights = draw.dirichlet(np.ones(12), (heads, 12))
    figure = channel_attention_figure(weights)
    *panels, bar = figure.axes
    assert titles(panels) == [f"head {head}" for head in range(heads)]
    for head, panel in enumerate(panels):
        np.testing.assert_array_equal(panel.images[0].get_array(), weights[head])
        assert panel.images[0].get_clim() == (0, weights.max())
    assert bar.get_ylabel() == "weight (evenly: 0.083)"
    assert not ink_at_the_edge(figure, tmp_path)


@pytest.mark.parametrize("blocks, heads", [(1, 1), (4, 4), (8, 8)])
def test_each_block_has_a_panel_and_each_head_a_line(tmp_path, blocks, heads):
    tables = draw.normal(size=(blocks, heads, 11))
    figure = geodesic_bias_figure(tables)
    assert titles(figure.axes) == [f"block {block}" for block in range(blocks)]
    for block, panel in enumerate(figure.axes):
        _, *lines = panel.lines  # the first is zero
        shown = np.array([line.get_ydata() for line in lines])
        np.testing.assert_array_equal(shown, tables[block])
        assert panel.get_ylim() == figure.axes[0].get_ylim()
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == [f"head {head}" for head in range(heads)]
    assert not ink_at_the_edge(figure, tmp_path)


@pytest.mark.parametrize("make, given, why", [
    (channel_attention_figure, np.ones((2, 3, 4)), r"weights must be \[N, D, D\]"),
    (channel_attention_figure, np.ones(3), r"weights must be \[N, D, D\]"),
    (channel_attention_figure, np.full((1, 2, 2), np.nan), "weights must be finite"),
    (geodesic_bias_figure, np.ones((2, 3)), r"tables must be \[blocks, N, R\]"),
    (geodesic_bias_figure, np.full((1, 2, 2), np.inf), "tables must be finite"),
])  # fmt: skip
def test_tables_of_another_shape_are_refused(make, given, why):
    with pytest.raises(ValueError, match=why):
        make(given)


def test_numbers_of_a_confusion_matrix_can_be_read():
    counts = np.array([[90, 40], [2, 5]])  # right and wrong, many and few
    figure = confusion_figure(counts, ("sit", "stand"))
    texts = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert set(texts) == {"90", "40", "2", "5"} and len(set(texts.values())) == 4
