"""A storyboard: one frame of each shot, those of the summary framed in colour."""

import math
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gpsattn_jax.visualize import figures, fonts

MOST = 40  # pictures; with more the sheet would leave the screen
SCREEN = 12.8, 7.2  # inches; at 150 dots each, 1920 x 1080

_AREA = 1.1  # square inches of a picture
_GAP, _WORDS, _HEAD = 0.16, 0.24, 0.62  # inches: beside, under and above pictures
_NARROWEST = 5.0  # inches, for the title


def draw_storyboard(
    path: str | os.PathLike,
    frames: Sequence[np.ndarray],
    shots: np.ndarray,
    scores: np.ndarray,
    chosen: np.ndarray,
    *,
    title: str = "",
) -> pathlib.Path:
    """Writes a picture of all shots in order, with start time and score under each.

    Of more than `MOST` shots it shows those of the summary and the best of the others;
    of a longer summary the best of each of `MOST` parts of it. It says so, and fits
    `SCREEN`.

    Args:
        path: the PNG to be.
        frames: for each shot, [H, W, 3] uint8, RGB.
        shots: [S, 2] start and end of each, seconds.
        scores: [S].
        chosen: [S] booleans: the shots of the summary.
        title: stands at the top; the counts follow it.

    Returns:
        The path.

    Raises:
        ValueError: if the lengths differ or there is no shot.
        OSError: if the file cannot be written.
    """
    shots, scores = np.asarray(shots, float), np.asarray(scores, float)
    chosen = np.asarray(chosen, bool)
    sizes = len(frames), shots.shape, scores.shape, chosen.shape
    count = len(frames)
    if not count or sizes[1:] != ((count, 2), (count,), (count,)):
        raise ValueError(
            "frames, shots, scores and chosen must be S >= 1, [S, 2], [S] and [S]; got "
            f"{', '.join(map(str, sizes))}."
        )
    numbers = _choose_pictures(scores, chosen)
    figure, sheet, places = _sheet(len(numbers), _aspect(frames))
    for shot, place in zip(numbers, places, strict=True):
        _draw(sheet, place, frames[shot], shots[shot, 0], scores[shot], chosen[shot])
    words = _counts(shots, chosen)
    if len(numbers) < chosen.sum():
        words += f"; here the best of each of {MOST} parts of the summary"
    elif len(numbers) < len(shots):
        words += f"; here these and the best others, {MOST} in all"
    title = shorten(fonts.legible(title), 11 * figure.get_figwidth())
    sheet.text(_GAP, 0.16, title, va="top", fontsize=11, color=figures.INK)
    sheet.text(_GAP, 0.37, words, va="top", fontsize=9, color=figures.MUTED)
    return figures.write(figure, pathlib.Path(path))


def _choose_pictures(scores, chosen):
    """Places of the shots to be drawn, in order."""
    if chosen.sum() > MOST:
        parts = np.array_split(np.flatnonzero(chosen), MOST)
        return np.array([part[scores[part].argmax()] for part in parts])
    ranks = np.lexsort((-scores, ~chosen))
    return np.sort(ranks[:MOST])


def _aspect(frames):
    """Width over height of most frames, within reason."""
    aspects = [frame.shape[1] / frame.shape[0] for frame in frames]
    return float(np.clip(np.median(aspects), 0.5, 2.4))


def _sheet(count, aspect):
    """The figure, axes in inches from the upper left, and a box for each picture."""
    across, down = math.sqrt(_AREA * aspect), math.sqrt(_AREA / aspect)
    few = int(8 / (across + _GAP))  # one row of 8 inches rather than two short ones
    columns = max(few, math.ceil(math.sqrt(1.2 * count / aspect)))
    most = max(1, int((SCREEN[1] - _HEAD) / (down + _WORDS + _GAP)))
    columns = min(max(columns, math.ceil(count / most)), count)
    rows = math.ceil(count / columns)
    width = max(_NARROWEST, columns * (across + _GAP) + _GAP)
    height = _HEAD + rows * (down + _WORDS + _GAP)
    figure = Figure(figsize=(width, height), dpi=150)
    sheet = figure.add_axes((0, 0, 1, 1))
    sheet.set_xlim(0, width)
    sheet.set_ylim(height, 0)
    sheet.axis("off")
    boxes = [
        (_GAP + column * (across + _GAP), _HEAD + row * (down + _WORDS + _GAP))
        for row, column in (divmod(place, columns) for place in range(count))
    ]
    return figure, sheet, [(left, top, across, down) for left, top in boxes]


def _draw(sheet, place, frame, start, score, chosen):
    left, top, width, height = place
    scale = min(width / frame.shape[1], height / frame.shape[0])
    across, down = scale * frame.shape[1], scale * frame.shape[0]
    x, y = left + (width - across) / 2, top + (height - down) / 2
    limits = sheet.get_xlim(), sheet.get_ylim()
    sheet.imshow(frame, extent=(x, x + across, y + down, y), aspect="auto")
    sheet.set(xlim=limits[0], ylim=limits[1])
    color = figures.ACCENT if chosen else figures.MUTED
    if chosen:
        edge = 0.02  # half of the line, so that it stands around the picture
        box = (x - edge, y - edge), across + 2 * edge, down + 2 * edge
        sheet.add_patch(Rectangle(*box, fill=False, linewidth=3, edgecolor=color))
    ink = color if chosen else figures.INK
    words = {"va": "top", "fontsize": 7.5, "fontweight": "bold" if chosen else "normal"}
    below = top + height + 0.07
    sheet.text(left, below, clock(start), color=ink, **words)
    sheet.text(left + width, below, f"{score:.2f}", ha="right", color=ink, **words)


def clock(seconds: float, tenths: bool = True) -> str:
    """2:03.5 or, without tenths or from an hour on, 2:03 and 1:02:03."""
    whole = round(10 * seconds) if tenths else 10 * round(seconds)
    minutes, rest = divmod(whole, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest // 10:02d}"
    return f"{minutes}:{rest // 10:02d}" + (f".{rest % 10}" if tenths else "")


def shorten(text: str, most: float) -> str:
    """The text in so many letters at most, its middle left out."""
    if len(text) <= most:
        return text
    half = int(most / 2) - 1
    return f"{text[:half].rstrip()} … {text[-half:].lstrip()}"


def _counts(shots, chosen):
    lengths = shots[:, 1] - shots[:, 0]
    return (
        f"{chosen.sum()} of {len(shots)} shots chosen, "
        f"{clock(lengths[chosen].sum())} of {clock(lengths.sum())}"
    )
