"""What all pictures share: any name can be drawn."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs Matplotlib (extra: plot)")

from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.confusion import confusion_figure


@pytest.mark.parametrize("names", [("$5 and $_", "A$$\\frac"), ("plain", "^_{}")])
def test_names_are_no_formulas(tmp_path, names):
    """Matplotlib reads what stands between dollars as mathematics, or fails."""
    figure = confusion_figure(np.array([[3, 1], [0, 2]]), names)
    figures.tidy(figure.axes[0], names[0])
    path = figures.write(figure, tmp_path / "a.png")
    assert path.stat().st_size > 1000
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(names)
