"""The page that all systems write: its pictures go where the run is logged, too."""

import dataclasses
import types

import pytest

from gpsattn_jax.training import Machine
from tests.event_files import read_events

pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
pytest.importorskip("tensorboardX", reason="needs tensorboardX (extra: tensorboard)")
reports = pytest.importorskip("gpsattn_jax.systems.reports")
figures = pytest.importorskip("gpsattn_jax.visualize.figures")


@dataclasses.dataclass
class Config:
    seed: int = 3


def test_pictures_are_logged_with_the_step_of_the_run(tmp_path):
    figure, _ = figures.new_figure(1, 1)
    run = types.SimpleNamespace(config=Config(), step=7)
    arguments = "Toy", run, [], {"Mistakes, all": (figure, "Which.")}, {"accuracy": 1}
    for names in ((), ("tensorboard",), ("tensorboard",)):
        reports.write_report(
            tmp_path / "report",
            *arguments,
            workdir=tmp_path / "run",
            machine=Machine(log_to=names),
        )
        assert (tmp_path / "run").exists() == bool(names)
    values = [
        (e.step, v)
        for e in read_events(tmp_path / "run", "report")
        for v in e.summary.value
    ]
    ((step, picture),) = [(step, v) for step, v in values if v.HasField("image")]
    assert (step, picture.tag) == (7, "Mistakes, all")
    written = (tmp_path / "report" / "mistakes_all.png").read_bytes()
    assert picture.image.encoded_image_string == written
    assert (picture.image.width, picture.image.height) == (150, 150)
    assert {"settings/text_summary"} <= {v.tag for _, v in values}
