"""Scores over time, with shots and what of them the summary keeps."""

import os
import pathlib

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from gpsattn_jax.visualize import figures, fonts
from gpsattn_jax.visualize.storyboard import clock, shorten

_MINUTE, _HOUR = 60.0, 3600.0
MOST_STEPS = 600  # of a curve; of more the means are drawn, or they fill the panel


def draw_scores(
    path: str | os.PathLike,
    places: np.ndarray,
    scores: np.ndarray,
    shots: np.ndarray,
    chosen: np.ndarray,
    *,
    users: np.ndarray | None = None,
    title: str = "",
    unit: str = "s",
) -> pathlib.Path:
    """Writes `scores_figure` as a PNG and returns its path.

    Args:
        path: the PNG to be.
        places: see `scores_figure`, likewise what follows.
        scores: [T].
        shots: [S, 2].
        chosen: [S].
        users: [T].
        title: what stands above.
        unit: "s" for seconds or "frames".

    Raises:
        ValueError: if lengths differ, there is no score, or the unit is unknown.
        OSError: if the file cannot be written.
    """
    figure = scores_figure(
        places, scores, shots, chosen, users=users, title=title, unit=unit
    )
    return figures.write(figure, pathlib.Path(path))


def scores_figure(
    places: np.ndarray,
    scores: np.ndarray,
    shots: np.ndarray,
    chosen: np.ndarray,
    *,
    users: np.ndarray | None = None,
    title: str = "",
    unit: str = "s",
) -> Figure:
    """A plot of the scores; shots of the summary are shaded.

    Args:
        places: [T] where each score begins to hold, in `unit`, ascending.
        scores: [T].
        shots: [S, 2] start and end of each, in `unit`; an end is the next one's start.
        chosen: [S] booleans: the shots of the summary.
        users: [T] the users' mean, drawn beside the scores.
        title: what stands above.
        unit: "s" for seconds or "frames".

    Raises:
        ValueError: if lengths differ, there is no score, or the unit is unknown.
    """
    if unit not in ("s", "frames"):
        raise ValueError(f"unit must be one of s, frames; got {unit!r}.")
    places, scores = np.asarray(places, float), np.asarray(scores, float)
    shots, chosen = np.asarray(shots, float), np.asarray(chosen, bool)
    curves = [("scores", scores, figures.INK)]
    if users is not None:
        curves.append(("users' mean", np.asarray(users, float), figures.SECOND))
    _check(places, shots, chosen, curves)
    figure, axes = figures.new_figure(9, 2.8)
    panel = axes[0, 0]
    # So thin where there are many that they stay in the background.
    thin = min(0.8, 60 / len(shots))
    for edge in shots[1:, 0]:
        panel.axvline(edge, color="#d5d9e0", linewidth=thin, zorder=0)
    words = f"summary: {chosen.sum()} of {len(shots)} shots"
    kept = {"color": figures.ACCENT, "alpha": 0.22, "linewidth": 0}
    for place, (start, end) in enumerate(shots[chosen]):
        panel.axvspan(start, end, **kept, label=None if place else words)
    end = max(shots[-1, 1], places[-1])
    for name, values, color in curves:
        at, steps, words = _thinned(places, values, name)
        steps, at = np.append(steps, steps[-1]), np.append(at, end)
        panel.step(at, steps, where="post", color=color, linewidth=1.1, label=words)
    _dress(panel, places[0], end, title, unit)
    return figure


def _thinned(places, values, name):
    """Means of so many neighbours that `MOST_STEPS` are left, and their name."""
    count = -(-len(values) // MOST_STEPS)
    if count == 1:
        return places, values, name
    starts = np.arange(0, len(values), count)
    sums = np.add.reduceat(values, starts)
    sizes = np.diff(np.append(starts, len(values)))
    return places[starts], sums / sizes, f"{name} (means of {count})"


def _at(seconds, end):
    """0:25 of a short video, 0:25:00 of one of hours."""
    text = clock(seconds, tenths=end < 10)
    return f"0:{text:0>5}" if seconds < _HOUR <= end else text


def _check(places, shots, chosen, curves):
    count = len(places)
    for name, values, _ in (("places", places, None), *curves):
        if not count or values.shape != (count,):
            raise ValueError(f"{name} must be [T={count}], T >= 1; got {values.shape}.")
    if (
        len(shots) < 1
        or shots.shape != (len(shots), 2)
        or chosen.shape != shots.shape[:1]
    ):
        raise ValueError(
            f"shots and chosen must be [S, 2] and [S], S >= 1; got {shots.shape} and "
            f"{chosen.shape}."
        )


def _dress(panel, start, end, title, unit):
    figures.tidy(panel, shorten(fonts.legible(title), 60))
    panel.set_xlim(start, max(end, start + 1e-6))
    panel.margins(y=0.08)
    panel.grid(axis="y", color=figures.GRID, linewidth=0.7)
    panel.set_axisbelow(True)
    panel.set_ylabel("score, 0 to 1", fontsize=8, color=figures.INK)
    seconds = unit == "s"
    clocks = "h:min:s" if end >= _HOUR else "min:s"
    panel.set_xlabel(
        f"time ({clocks})" if seconds else "frame", fontsize=8, color=figures.INK
    )
    steps = [1, 1.5, 2, 3, 6, 10] if seconds and end > _MINUTE else None
    panel.xaxis.set_major_locator(MaxNLocator(9, steps=steps, integer=end > 10))
    if seconds:
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _at(x, end)))
    else:
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    panel.legend(
        frameon=False,
        fontsize=8,
        ncols=3,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0.1,
    )
