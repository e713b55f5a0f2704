"""What every image classifier has: the record of one, whose methods are its face."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gpsattn_jax.convert.graft import Fit, fit_relative_table
from gpsattn_jax.data.images.sources import Images
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import runs
from gpsattn_jax.systems.image_classifier import run, tables
from gpsattn_jax.systems.runs import TrainedRun
from gpsattn_jax.systems.tables import Predictions
from gpsattn_jax.training.config import Machine

Draw = Callable[[TrainedRun, Images, np.ndarray], dict[str, Any]]


def _fit_tables(config: Any) -> Fit:
    del config
    return fit_relative_table


def _draw_nothing(run: TrainedRun, images: Images, probabilities: np.ndarray) -> dict:
    del run, images, probabilities
    return {}


@dataclasses.dataclass(frozen=True)
class ImageClassifier:
    """What tells one image classifier from another; its methods are a system's face.

    Attributes:
        name: of the system, as in `systems.SYSTEMS`.
        title: the config of a run -> what people call its network.
        config_class: the dataclass of a whole run: model (with image_size, in_channels
            and num_classes), data, augment, train, and init_from.
        build: the network's config -> the network.
        layers: patterns of its layers, from the input up.
        fit: the network's config -> how arrays of another shape become the network's
            when it starts from a trained one, see `convert.graft`.
        draw: (run, test images, probabilities) -> pictures for its report.
    """

    name: str
    title: Callable[[Any], str]
    config_class: type
    build: Callable[[Any], Functional]
    layers: tuple[str, ...]
    fit: Callable[[Any], Fit] = _fit_tables
    draw: Draw = _draw_nothing

    def train(
        self,
        config: Any,
        workdir: str | os.PathLike,
        *,
        data_dir: str | os.PathLike | None = None,
        machine: Machine | None = None,
    ) -> None:
        """Trains, or goes on training, in `workdir`; scores the validation images too.

        Args:
            config: of the run.
            workdir: checkpoints and logs.
            data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
            machine: devices, processes, profiling.

        Raises:
            KeyboardInterrupt: on Ctrl-C, after saving; the same call goes on from
                there.
            ValueError: if the config does not fit itself, the data or the checkpoint.
        """
        run.train(self, config, workdir, data_dir=data_dir, machine=machine)

    def restore(
        self,
        workdir: str | os.PathLike,
        choose: str = "latest",
        *,
        averaged: bool = False,
        machine: Machine | None = None,
    ) -> TrainedRun:
        """The run that was trained in a workdir; see `runs.restore`."""
        return runs.restore(
            self.name, self.config_class, self.build, workdir, choose,
            averaged=averaged, facts={"class_names": tuple}, machine=machine,
        )  # fmt: skip

    def evaluate(
        self,
        workdir: str | os.PathLike,
        choose: str = "latest",
        *,
        data_dir: str | os.PathLike | None = None,
        machine: Machine | None = None,
    ) -> dict[str, list[float]]:
        """Prints the accuracy of a run, or of a grid; see `tables.evaluate`."""
        return tables.evaluate(
            self, workdir, choose, data_dir=data_dir, machine=machine
        )

    def predict(
        self,
        trained: TrainedRun,
        paths: str | os.PathLike | Sequence[str | os.PathLike],
        output: str | os.PathLike | None = None,
        *,
        invert: bool = False,
        count: int = 3,
    ) -> Predictions:
        """Prints the top classes of a user's own pictures; see `tables.predict`."""
        return tables.predict(trained, paths, output, invert=invert, count=count)

    def report(
        self,
        workdir: str | os.PathLike,
        folder: str | os.PathLike | None = None,
        choose: str = "latest",
        *,
        averaged: bool = False,
        data_dir: str | os.PathLike | None = None,
        machine: Machine | None = None,
    ) -> pathlib.Path:
        """Writes a page on a run; see `image_classifier.report`."""
        from gpsattn_jax.systems.image_classifier import report  # needs matplotlib

        return report.report(
            self, workdir, folder, choose,
            averaged=averaged, data_dir=data_dir, machine=machine,
        )  # fmt: skip

    def export(
        self,
        source: str | os.PathLike,
        output: str | os.PathLike,
        choose: str = "latest",
        *,
        averaged: bool = False,
        size: int | None = None,
        **options: Any,
    ) -> None:
        """Writes a run, or a file of weights, as an artefact, and checks it.

        Args:
            source: a workdir or a file, see `image_classifier.export.open_model`.
            output: the artefact.
            choose: of a run: the "latest" checkpoint, or the "best" one.
            averaged: of a run: the moving averages of the weights.
            size: of a file: pixels of a side.
            **options: of `export.check.finish`.
        """
        from gpsattn_jax.systems.export import check
        from gpsattn_jax.systems.image_classifier import export

        model = export.open_model(
            self, source, choose=choose, averaged=averaged, size=size
        )
        check.finish(model, output, **options)
