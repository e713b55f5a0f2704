"""Pictures of dynamic kernels, and of maps over images."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")

from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.dynamic_kernels import kernels_figure, most_changed_channels
from gpsattn_jax.visualize.overlays import overlay_figure

draw = np.random.default_rng(0)
IMAGES = draw.random((2, 12, 16, 3))


def pixels(figure, tmp_path):
    from PIL import Image

    path = figures.write(figure, tmp_path / "figure.png")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_the_channels_that_change_most_for_their_size_come_first():
    pair = np.zeros((2, 3, 3, 4))
    pair[0] = pair[1] = 1.0
    pair[1, ..., 2] = 1.5
    pair[:, ..., 1] = 10.0
    pair[1, ..., 1] = 10.5  # as great a change, of a greater kernel
    pair[:, ..., 3] = 0.0  # nothing at all is no division by zero
    np.testing.assert_array_equal(most_changed_channels(pair, 2), [2, 1])


def test_kernels_of_two_images_and_what_differs(tmp_path):
    kernels = [draw.normal(size=(2, k, k, 6)) for k in (7, 5, 3)]
    figure = kernels_figure(IMAGES, kernels, count=2)
    # Two images, three lines of two channels for each stage, and a word.
    assert len(figure.axes) == 2 + 3 * 3 * 2 + 1
    shown = pixels(figure, tmp_path)
    assert min(shown.shape[:2]) > 200 and shown.std() > 10


def test_equal_kernels_differ_by_nothing_that_is_drawn(tmp_path):
    same = np.repeat(draw.normal(size=(1, 3, 3, 4)), 2, axis=0)
    figure = kernels_figure(IMAGES, [same], count=1)
    difference = figure.axes[2 + 2].images[0].get_array()
    np.testing.assert_array_equal(difference, 0)
    assert pixels(figure, tmp_path).std() > 10


def test_fewer_channels_than_asked_for_leave_no_empty_panel():
    kernels = [draw.normal(size=(2, 3, 3, 2)), draw.normal(size=(2, 3, 3, 8))]
    figure = kernels_figure(IMAGES, kernels, count=4)
    assert len(figure.axes) == 2 + 3 * (2 + 4) + 1


def test_maps_of_several_stages_with_a_place(tmp_path):
    stages = ("stage 1", 4), ("stage 2", 2)
    maps = [[(name, draw.random((n, n))) for name, n in stages] for _ in "ab"]
    places = [(0.1, 0.2), (0.7, 0.7)]
    figure = overlay_figure(IMAGES, maps, ["one", "two"], at=places, least=2.0)
    assert len(figure.axes) == 6
    assert all(len(panel.lines) == 2 for panel in figure.axes)
    assert figure.axes[1].images[1].get_clim() == (-2, 2)
    shown = pixels(figure, tmp_path)
    assert min(shown.shape[:2]) > 300 and shown.std() > 10


def test_for_is_red_and_against_is_blue(tmp_path):
    grey = np.full((1, 8, 8, 1), 0.5)
    maps = [[("for", np.ones((2, 2))), ("against", -np.ones((2, 2)))]]
    shown = pixels(overlay_figure(grey, maps, ["grey"]), tmp_path)
    middle = shown[shown.shape[0] // 2]
    colors = [middle[middle.shape[0] * part // 12] for part in (7, 10)]
    assert colors[0][0] > colors[0][2] + 30  # red over blue
    assert colors[1][2] > colors[1][0] + 30
