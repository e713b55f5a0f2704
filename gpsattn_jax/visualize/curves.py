"""Learning curves from the lines of a metric log."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from gpsattn_jax.visualize import figures


def learning_curves(lines: Sequence[dict[str, Any]], metrics: Sequence[str]) -> Figure:
    """One panel for each metric: training and evaluation by step.

    Args:
        lines: of a metric log: "step", training metrics by name, those of evaluation
            as "evaluation/<name>".
        metrics: which to draw.
    """
    figure, axes = figures.new_figure(4.2 * len(metrics), 2.8, columns=len(metrics))
    for panel, metric in zip(axes[0], metrics, strict=True):
        for name, label, color, marker in (
            (metric, "training", figures.SECOND, ""),
            (f"evaluation/{metric}", "validation", figures.ACCENT, "o"),
        ):
            points = [(line["step"], line[name]) for line in lines if name in line]
            if points:
                panel.plot(
                    *zip(*points, strict=True),
                    label=label,
                    color=color,
                    marker=marker,
                    markersize=3.5,
                    linewidth=1.4,
                )
        figures.tidy(panel, metric)
        panel.set_xlabel("training step", fontsize=8, color=figures.INK)
        panel.grid(axis="y", color=figures.GRID, linewidth=0.7)
        panel.legend(frameon=False, fontsize=8)
    return figure
