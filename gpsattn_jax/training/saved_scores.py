"""Which checkpoint is the best: the metrics that were saved with each of them."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from gpsattn_jax.training import saved_items
from gpsattn_jax.training.checksums import Damaged, check
from gpsattn_jax.training.logs import is_number


class Scores:
    """The metric of each step, read when it is asked for; a policy of Orbax.

    Args:
        folder: of the checkpoints.
        metric: gives the metric's name, the highest value of which is best.
    """

    def __init__(self, folder: pathlib.Path, metric: Callable[[], str]):
        self._folder, self._metric = folder, metric
        self._known: dict[int, float | None] = {}

    def remember(self, step: int, metrics: dict[str, float] | None) -> None:
        """Takes the metrics of a step before it is saved, None if there are none.

        Raises:
            ValueError: if the metric is not among them.
        """
        self._known[step] = None if metrics is None else self.value(metrics)

    def forget(self, step: int) -> None:
        """The step is no longer there."""
        self._known.pop(step, None)

    def value(self, metrics: dict[str, float]) -> float:
        """The metric among others.

        Raises:
            ValueError: if it is not there, an error of the settings.
        """
        name = self._metric()
        if name not in metrics:
            raise ValueError(
                f"train.best_metric must be one of "
                f"{', '.join(m for m in metrics if not m.endswith('loss'))}; "
                f"got {name!r}."
            )
        return metrics[name]

    def of(self, step: int) -> float | None:
        """The metric of a step, None where none was measured.

        Raises:
            Damaged: if the file of the step's metrics is.
        """
        if step not in self._known:
            self._known[step] = self._read(self._folder / str(step))
        return self._known[step]

    def should_preserve(
        self, checkpoints: Sequence[Any], *, context: Any
    ) -> list[bool]:
        """Orbax's question: the best one stays, and any whose metrics are damaged."""
        del context
        kept, best = [False] * len(checkpoints), None
        for place, info in enumerate(checkpoints):  # oldest first
            try:
                score = self.of(info.step)
            except (Damaged, FileNotFoundError):
                kept[place] = True
                continue
            if score is not None and (best is None or score >= best[0]):
                best = score, place
        if best is not None:
            kept[best[1]] = True
        return kept

    def _read(self, path):
        check(path, ["metrics"])
        metrics = saved_items.read_object(path, "metrics", absent={})
        if not metrics:
            return None
        name = self._metric()
        if not is_number(metrics.get(name)):
            file = saved_items.json_file(path, "metrics")
            got = f"{metrics.get(name)!r:.60}"
            raise Damaged(f"{file}: {name} must be a number; got {got}.")
        return metrics[name]
