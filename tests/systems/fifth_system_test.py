"""A fifth system: a network, a setup and a row, and all of the front serves it.

As files of the house it would be `models/toy.py`, `systems/toy/__init__.py` and
`experiments/toy.py`, all new, and one row in `systems/__init__.py`.
"""

import dataclasses
import functools
import pathlib
import types

import jax
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import IMAGES, System, grids, image_classifier
from gpsattn_jax.training.config import TrainConfig
from tests.scripts import run_script

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

ROOT = pathlib.Path(__file__).parents[2]


# models/toy.py: Config, the network, build.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """One linear layer of the pixels.

    Attributes:
        image_size: pixels of a side.
        in_channels: of the images.
        num_classes: of the set.
    """

    image_size: int = 8
    in_channels: int = 1
    num_classes: int = 10


class Toy(nnx.Module):
    def __init__(self, config, *, rngs):
        pixels = config.image_size**2 * config.in_channels
        self.head = nnx.Linear(pixels, config.num_classes, rngs=rngs)

    def __call__(self, images, *, train=False, rngs=None):
        del train, rngs
        return self.head(images.reshape(len(images), -1))


@functools.cache
def build(config):
    return Functional(lambda rngs: Toy(config, rngs=rngs))


# systems/toy/__init__.py: Config, SETUPS, and what binds it to the common journey.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run.

    Attributes:
        init_from: a trained run's workdir.
    """

    model: Model = Model()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    init_from: str = ""


SYSTEM = image_classifier.ImageClassifier(
    name="toy",
    title=lambda config: "Toy",
    config_class=Config,
    build=build,
    layers=("head",),
)
FACE = types.SimpleNamespace(
    SETUPS={
        "digits": Config(
            train=TrainConfig(
                num_steps=2, warmup_steps=0, batch_size=8, evaluate_every=2, seed=3
            )
        )
    },
    Config=Config,
    predict=image_classifier.predict,
    **{
        name: functools.partial(getattr(image_classifier, name), SYSTEM)
        for name in ("train", "restore", "evaluate", "report", "export")
    },
)

# systems/__init__.py: one row.

ROW = System(face=lambda: FACE, setup="digits", inputs=IMAGES, flags=("invert",))


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A grid of two seeds, of two steps each."""
    path = tmp_path_factory.mktemp("toy")
    grids.train_runs(ROW, FACE.SETUPS["digits"], path, seeds=2)
    return path


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "one.png"
    pixels = np.random.default_rng(0).integers(0, 255, (9, 9), np.uint8)
    image_library.fromarray(pixels).save(path)
    return path


def test_a_grid_is_trained_and_evaluated(workdir, capsys):
    kept = sorted(path.name for path in workdir.iterdir())
    assert kept == ["baselines.json", "seed-3", "seed-4"]
    rows = FACE.evaluate(workdir)
    printed = capsys.readouterr().out
    assert len(rows["Toy (ours)"]) == 2 and "450 test images, 2 runs" in printed
    mean, sd = (100 * f(rows["Toy (ours)"]) for f in (np.mean, np.std))
    assert f"{mean:.2f} ± {sd * 2**0.5:.2f}" in printed
    assert FACE.evaluate(workdir / "seed-4") == {"Toy (ours)": [rows["Toy (ours)"][1]]}


def test_finished_runs_are_not_trained_again(workdir, capsys):
    before = [path.stat().st_mtime_ns for path in workdir.glob("*/checkpoints/2")]
    grids.train_runs(ROW, FACE.SETUPS["digits"], workdir, seeds=2)
    assert "step 2/2" not in capsys.readouterr().out
    assert before == [p.stat().st_mtime_ns for p in workdir.glob("*/checkpoints/2")]


def test_a_run_is_restored_and_predicts(workdir, picture, capsys):
    with pytest.raises(FileNotFoundError, match="holds 2 runs; name one, such as"):
        FACE.restore(workdir)
    run = FACE.restore(workdir / "seed-3")
    assert run.config.train.seed == 3 and run.step == 2
    found = FACE.predict(run, picture)
    assert sum(found[str(picture)].values()) == pytest.approx(1, abs=1e-4)
    best = next(iter(found[str(picture)]))
    assert f"one.png: {best} " in capsys.readouterr().out


def test_it_has_a_report_and_an_artefact(workdir, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    pytest.importorskip("flatbuffers", reason="needs flatbuffers (extra: export)")
    page = FACE.report(workdir / "seed-3", tmp_path / "report")
    assert "Toy on digits" in page.read_text()
    FACE.export(workdir / "seed-3", tmp_path / "toy.stablehlo")
    assert "without our code: largest difference" in capsys.readouterr().out


def test_a_run_starts_from_another(workdir, tmp_path):
    setup = FACE.SETUPS["digits"]
    still = dataclasses.replace(setup.train, learning_rate=0.0, weight_decay=0.0)
    source = str(workdir / "seed-4")
    config = dataclasses.replace(setup, train=still, init_from=source)
    FACE.train(config, tmp_path)
    before, after = FACE.restore(source), FACE.restore(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, before.params, after.params)


SCRIPT = """
from gpsattn_jax.systems import command_line
from tests.systems.fifth_system_test import ROW

command_line.run(ROW)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("hurried_processes")
def test_the_command_line_serves_it(tmp_path, picture):
    script = tmp_path / "toy.py"
    script.write_text(SCRIPT)

    def run(*flags):
        code, out, err = run_script(script, f"--workdir={tmp_path / 'run'}", *flags)
        return code, out + err

    code, text = run("--train.learning_rate=0.1", "--seeds=2")
    assert code == 0 and "Toy (ours)" in text and "±" in text, text
    output = tmp_path / "found.json"
    code, text = run("--mode=predict", f"--images={picture}", f"--output={output}")
    assert code == 1 and "holds 2 runs" in text
    run_flag = f"--workdir={tmp_path / 'run' / 'seed-3'}"
    code, text = run(run_flag, "--mode=predict", f"--images={picture}")
    assert code == 0 and "one.png: " in text, text
    code, text = run("--stream=bone")
    assert code == 1 and "Unknown command line flag 'stream'" in text
