"""Storyboards and score plots: what is drawn where, from one shot to hundreds."""

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.visualize import storyboard
from gpsattn_jax.visualize.storyboard import clock, draw_storyboard, shorten
from gpsattn_jax.visualize.summary_scores import (
    MOST_STEPS,
    draw_scores,
    scores_figure,
)

FRAME = np.array((181, 69, 44))  # the colour around chosen shots


def made(count, height=18, width=32):
    """Frames of grey, shots of 2 s, scores and a summary of the best fifth."""
    rng = np.random.default_rng(count)
    scores = rng.permutation(count) / count
    frames = [np.full((height, width, 3), 90, np.uint8) for _ in range(count)]
    edges = 2.0 * np.arange(count + 1)
    chosen = scores >= np.quantile(scores, 0.8)
    return frames, np.stack([edges[:-1], edges[1:]], 1), scores, chosen


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def near(picture, color):
    return np.abs(picture - color).max(-1) < 4


@pytest.mark.parametrize("count", [1, 5, 30])
def test_every_shot_has_its_picture(tmp_path, count):
    frames, shots, scores, chosen = made(count)
    path = draw_storyboard(tmp_path / "a/board.png", frames, shots, scores, chosen)
    assert path == tmp_path / "a/board.png"
    picture = pixels(path)
    area = near(picture, 90).sum() / (storyboard._AREA * 150**2)
    assert area == pytest.approx(count, rel=0.05)
    one = np.zeros(count, bool)
    one[0] = True
    first = pixels(draw_storyboard(path, frames, shots, scores, one))
    none = pixels(draw_storyboard(path, frames, shots, scores, np.zeros(count, bool)))
    assert near(first, FRAME).sum() > 1000 > near(none, FRAME).sum() == 0
    # Only the first picture's surroundings differ, and the counts.
    rows, columns = np.nonzero(near(first, FRAME))
    assert rows.max() < 350 and columns.max() < 300


@pytest.mark.parametrize("height, width", [(18, 32), (32, 18), (10, 60)])
def test_pictures_keep_their_form(tmp_path, height, width):
    frames, shots, scores, _ = made(1, height, width)
    path = tmp_path / "board.png"
    draw_storyboard(path, frames, shots, scores, np.zeros(1, bool))
    rows, columns = np.nonzero(near(pixels(path), 90))
    found = np.ptp(columns) / np.ptp(rows)
    assert found == pytest.approx(width / height, rel=0.04)


def test_of_very_many_shots_the_summary_and_the_best_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(storyboard, "MOST", 20)
    frames, shots, scores, chosen = made(50)
    chosen = scores < 0.1  # a summary of the worst: shown all the same
    shown = storyboard._choose_pictures(scores, chosen)
    assert len(shown) == 20 and list(shown) == sorted(shown)
    assert set(np.flatnonzero(chosen)) <= set(shown)
    others = np.setdiff1d(shown, np.flatnonzero(chosen))
    assert scores[others].min() > np.delete(scores, shown).max()
    path = draw_storyboard(tmp_path / "board.png", frames, shots, scores, chosen)
    area = near(pixels(path), 90).sum() / (storyboard._AREA * 150**2)
    assert area == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9, 2.4])
def test_as_many_pictures_as_there_may_be_fit_a_screen(aspect):
    figure, _, places = storyboard._sheet(storyboard.MOST, aspect)
    assert len(places) == storyboard.MOST
    width, height = 150 * figure.get_size_inches()
    assert width <= 1920 and height <= 1080


def test_three_hours_are_a_picture_from_each_part_of_the_summary(tmp_path):
    frames, shots, scores, chosen = made(1500)
    shots *= 3.6  # three hours; 300 shots are chosen
    shown = storyboard._choose_pictures(scores, chosen)
    assert len(shown) == storyboard.MOST and chosen[shown].all()
    assert np.diff(shots[shown, 0]).max() < 3 * 3 * 3600 / storyboard.MOST
    path = draw_storyboard(tmp_path / "board.png", frames, shots, scores, chosen)
    height, width, _ = pixels(path).shape
    assert width <= 1920 and height <= 1080


def test_curves_of_hours_are_drawn_as_means():
    places, ramp = np.arange(0.0, 10800), np.linspace(0, 1, 10800)
    shots = np.array([[0, 5400], [5400, 10800]])
    figure = scores_figure(places, ramp, shots, [True, False], title="会議 long.mp4")
    (curve,) = figure.axes[0].get_lines()[1:]  # the first is between the shots
    x, y = curve.get_data()
    assert len(x) == MOST_STEPS + 1 and curve.get_label() == "scores (means of 18)"
    np.testing.assert_allclose(y[0], ramp[:18].mean())
    assert figure.axes[0].get_xlabel() == "time (h:min:s)"
    labels = [figure.axes[0].xaxis.get_major_formatter()(at) for at in (1500, 5400)]
    assert labels == ["0:25:00", "1:30:00"]


@pytest.mark.parametrize("change", [
    {"frames": []},
    {"scores": np.zeros(4)},
    {"chosen": np.zeros(2, bool)},
    {"shots": np.zeros((3, 3))},
])  # fmt: skip
def test_lengths_that_differ_are_refused(tmp_path, change):
    names = "frames", "shots", "scores", "chosen"
    given = dict(zip(names, made(3), strict=True)) | change
    with pytest.raises(ValueError, match="frames, shots, scores and chosen must be"):
        draw_storyboard(tmp_path / "board.png", **given)


@pytest.mark.parametrize("seconds, tenths, text", [
    (0, True, "0:00.0"),
    (59.96, True, "1:00.0"),
    (63.25, False, "1:03"),
    (119.7, False, "2:00"),
    (3723.4, True, "1:02:03"),
])  # fmt: skip
def test_the_clock(seconds, tenths, text):
    assert clock(seconds, tenths) == text


def test_long_titles_lose_their_middle():
    assert shorten("short.mp4", 10) == "short.mp4"
    text = shorten("a" * 40 + "z" * 40, 21)
    assert len(text) <= 21 and text.startswith("aaa") and text.endswith("zzz")


@pytest.mark.parametrize("count", [1, 5, 300])
@pytest.mark.parametrize("unit", ["s", "frames"])
def test_scores_and_the_shade_of_the_summary(tmp_path, count, unit):
    _, shots, scores, chosen = made(count)
    path, none = tmp_path / "scores.png", np.zeros(count, bool)
    given = shots[:, 0], scores, shots
    draw_scores(path, *given, chosen, unit=unit, title="A title")
    with_shade = pixels(path)
    draw_scores(path, *given, none, unit=unit, title="A title")
    shade = (255 - 0.22 * (255 - FRAME)).round()
    plot = slice(60, 330)  # rows without legend and labels
    found = near(with_shade[plot], shade).mean()
    assert found > 0.03 and not near(pixels(path)[plot], shade).any()
    draw_scores(path, *given, none, users=scores[::-1], unit=unit)
    blue = near(pixels(path)[plot], (44, 111, 181))
    assert blue.any()


@pytest.mark.parametrize("change, why", [
    ({"scores": np.zeros(4)}, r"scores must be \[T=3\]"),
    ({"users": np.zeros(2)}, r"users' mean must be \[T=3\]"),
    ({"chosen": np.zeros(2, bool)}, "shots and chosen"),
    ({"unit": "hours"}, "unit must be one of s, frames; got 'hours'"),
])  # fmt: skip
def test_what_cannot_be_plotted_is_refused(tmp_path, change, why):
    _, shots, scores, chosen = made(3)
    given = {"places": shots[:, 0], "scores": scores, "shots": shots, "chosen": chosen}
    with pytest.raises(ValueError, match=why):
        draw_scores(tmp_path / "scores.png", **(given | change))
    assert not list(tmp_path.iterdir())
