"""Confusion matrices: of few classes, of a hundred, and of names in any script."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs Matplotlib (extra: plot)")

from matplotlib.text import Text

from gpsattn_jax.visualize import confusion, figures

SMALLEST = 6  # points


def made(count):
    counts = np.diag(np.full(count, 30))
    counts[3, 7], counts[5, 1] = 9, 8
    counts[np.arange(count), np.arange(count)[::-1]] += 1
    return counts


def words(figure):
    """What is written; ticks below the first class are not drawn."""
    texts = [text for text in figure.findobj(Text) if text.get_visible()]
    said = [text for text in texts if text.get_text().strip()]
    return [text for text in said if text.get_text()[0] != "\N{MINUS SIGN}"]


@pytest.mark.parametrize("count", [10, 20, 60, 100])
def test_every_word_has_a_readable_size_and_lies_inside(count, tmp_path):
    names = [f"A{n + 1} take off something or other, number {n}" for n in range(count)]
    figure = confusion.confusion_figure(made(count), names)
    figures.write(figure, tmp_path / "a.png")
    width, height = figure.get_size_inches()
    assert max(width, height) <= 10.5
    for text in words(figure):
        assert text.get_fontsize() >= SMALLEST
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.x1 <= width * figure.dpi + 1, text.get_text()


def test_a_hundred_classes_come_with_their_worst_mistakes(tmp_path):
    names = [f"class{n}" for n in range(100)]
    figure = confusion.confusion_figure(made(100), names)
    beside = [text.get_text() for text in figure.axes[1].texts]
    assert beside[:6] == [
        "9", "3 class3", "as 7 class7", "8", "5 class5", "as 1 class1",
    ]  # fmt: skip
    assert len(beside) == 3 * confusion.PAIRS
    boxes = [text.get_window_extent() for text in figure.axes[1].texts]
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:], strict=False))


def test_the_most_confused_are_mistakes_only():
    counts = np.array([[9, 2, 0], [0, 9, 5], [0, 0, 9]])
    assert confusion.most_confused(counts, 9) == [(5, 1, 2), (2, 0, 1)]
    assert confusion.most_confused(counts, 1) == [(5, 1, 2)]
