"""What all pictures share: any name can be drawn, and all colours told apart."""

import itertools
import re
import warnings

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs Matplotlib (extra: plot)")

from matplotlib import font_manager
from matplotlib.colors import to_rgb

from gpsattn_jax.visualize import figures, fonts, page, skeletons
from gpsattn_jax.visualize.confusion import confusion_figure

NAMES = ("行走", "走る", "손뼉", "バス", "naïve Ёлка")
# What is left of linear RGB without the cones for red, or for green (Machado, Oliveira
# and Fernandes, 2009, severity 1).
WITHOUT_RED = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
WITHOUT_GREEN = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]


@pytest.mark.parametrize("names", [("$5 and $_", "A$$\\frac"), ("plain", "^_{}")])
def test_names_are_no_formulas(tmp_path, names):
    """Matplotlib reads what stands between dollars as mathematics, or fails."""
    figure = confusion_figure(np.array([[3, 1], [0, 2]]), names)
    figures.tidy(figure.axes[0], names[0])
    path = figures.write(figure, tmp_path / "a.png")
    assert path.stat().st_size > 1000
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(names)


def no_fallbacks(monkeypatch):
    monkeypatch.setattr(fonts, "_FALLBACKS", ())
    for cached in (fonts.families, fonts._letters):
        cached.cache_clear()


@pytest.fixture
def plain_system(monkeypatch):
    """One without fonts for Chinese, Japanese and Korean."""
    no_fallbacks(monkeypatch)
    yield
    monkeypatch.undo()
    for cached in (fonts.families, fonts._letters):
        cached.cache_clear()


def drawn(tmp_path):
    """The labels of a matrix of `NAMES`, as they were drawn, without a warning."""
    figure = confusion_figure(np.diag(np.arange(1, 6)), NAMES)
    figure.axes[0].set_title(NAMES[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.write(figure, tmp_path / "a.png")
    axes = figure.axes[0]
    return [label.get_text() for label in axes.get_xticklabels()], axes.get_title()


def test_names_in_any_script_are_drawn_without_a_warning(tmp_path):
    labels, _ = drawn(tmp_path)
    assert len(set(labels)) == len(NAMES)


def test_what_has_no_font_is_spelled_or_numbered(tmp_path, plain_system):
    labels, title = drawn(tmp_path)
    assert labels == ["884C 8D70", "8D70 ru", "son bbyeog", "ba su", "naïve Ёлка"]
    assert title == "884C 8D70"


def test_a_fallback_of_the_system_is_used(monkeypatch, plain_system):
    """Here a font that Matplotlib brings, of a letter that the first one lacks."""
    monkeypatch.setattr(fonts, "_FALLBACKS", ("No Such Font", "cmmi10"))
    for cached in (fonts.families, fonts._letters):
        cached.cache_clear()
    assert fonts.families() == ("DejaVu Sans", "cmmi10")
    paths = (font_manager.findfont(name) for name in fonts.families())
    first, second = (font_manager.get_font(path).get_charmap() for path in paths)
    more = set(second) - set(first)
    assert more and all(fonts.legible(chr(code)) == chr(code) for code in more)


def linear(color):
    channels = np.array(to_rgb(color))
    return np.where(
        channels < 0.04, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )


def lightness(channels):
    return np.clip(channels, 0, 1) ** (1 / 2.4)


@pytest.mark.parametrize("eye", [np.eye(3), WITHOUT_RED, WITHOUT_GREEN])
def test_colours_are_told_apart_by_all_eyes(eye):
    pairs = [
        (figures.ACCENT, figures.SECOND), (figures.ACCENT, figures.INK),
        *itertools.combinations(skeletons.GROUPS, 2),
        *itertools.combinations(skeletons.BONES, 2),
    ]  # fmt: skip
    for one, other in pairs:
        apart = [lightness(eye @ linear(color)) for color in (one, other)]
        assert np.linalg.norm(apart[0] - apart[1]) > 0.12, (one, other)


@pytest.mark.parametrize("ink", ["INK", "MUTED", "ACCENT", "SECOND"])
def test_words_stand_out_from_the_paper(ink):
    luminance = linear(getattr(figures, ink)) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_a_page_has_a_dark_form_with_pictures_on_white():
    dark = re.search(r"prefers-color-scheme: dark\) {(.*?)}\s*}", page.STYLE, re.S)
    ink, paper = re.findall(r"--(?:ink|paper): (#\w+)", dark[1])
    bright, deep = (linear(c) @ [0.2126, 0.7152, 0.0722] + 0.05 for c in (ink, paper))
    assert bright / deep > 7
    assert re.search(r"img {[^}]*background: #fff", page.STYLE)
    written = set(re.findall(r"#[0-9a-f]{3,6}", page.STYLE.split("body")[1]))
    assert written == {"#fff"}  # every other colour changes with the scheme
