"""PGL-SUM's journey on made-up videos: train, resume, evaluate, predict, report."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs h5py (extra: data)")

from gpsattn_jax import convert
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.data.videos.feature_files import write_videos
from gpsattn_jax.data.videos.videos import VideoSet
from gpsattn_jax.models import pglsum as models
from gpsattn_jax.systems import SYSTEMS, grids, gsanet, pglsum
from gpsattn_jax.systems.pglsum import tables
from gpsattn_jax.systems.pglsum.paper_protocol import paper_rows
from gpsattn_jax.systems.pglsum.run import from_weights
from gpsattn_jax.systems.pglsum.setups import DataConfig
from gpsattn_jax.systems.pglsum.videos import load_videos, split_videos
from gpsattn_jax.training import TrainConfig
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.losses import summed_squares
from tests.data.videos.annotated_videos import annotated, write_splits
from tests.golden_pglsum import made_network, quick_jit
from tests.processes import hurried_environment

ROOT = pathlib.Path(__file__).parents[3]
# Of shots so short that a summary has room for some.
VIDEOS = [annotated(n, steps=5 + n, shots=2 * (5 + n)) for n in range(10)]
TINY = models.Config(
    input_size=16, num_heads=2, local_heads=2, num_segments=2, dropout=0.1
)
STEPS = 12
SMALL = pglsum.Config(
    model=TINY,
    data=DataConfig(
        file="videos.h5", splits="splits.json", extractor="test", validation_videos=2
    ),
    train=TrainConfig(
        num_steps=STEPS, batch_size=5, evaluate_every=6, log_every=1, warmup_steps=0,
        optimizer="adam", learning_rate=1e-2, schedule="constant", weight_decay=1e-5,
        best_metric="tau", clip_norm=5.0,
    ),
)  # fmt: skip


def change(config, **parts):
    """A config with fields of its parts replaced."""
    return dataclasses.replace(
        config,
        **{
            name: dataclasses.replace(getattr(config, name), **fields)
            for name, fields in parts.items()
        },
    )


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """What one run compiled, in a hurry, the next one finds."""
    cache = str(tmp_path_factory.mktemp("jax"))
    hurry = {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": cache,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: jax.config.values[name] for name in hurry}
    for name, value in hurry.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of data sets: ten videos, two splits."""
    path = tmp_path_factory.mktemp("data")
    write_videos(path / "videos.h5", VIDEOS, {"extractor": "test"})
    order = list(range(10))
    write_splits(path / "splits.json", [(order[:7], order[7:]), (order[3:], order[:3])])
    return path


@pytest.fixture(scope="module")
def workdir(folder, tmp_path_factory):
    """A run by the honest protocol."""
    path = tmp_path_factory.mktemp("run")
    pglsum.train(SMALL, path, data_dir=folder)
    return path


def weights(run):
    return flatten(run.params)


# Training.


def test_the_loss_falls(workdir):
    losses = [line["loss"] for line in read_metrics(workdir) if "loss" in line]
    assert len(losses) == STEPS and np.mean(losses[-3:]) < 0.8 * losses[0]


def test_a_resumed_run_ends_with_the_same_bits(workdir, folder, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(STEPS))
    pglsum.train(SMALL, tmp_path / "run", data_dir=folder)
    straight, resumed = pglsum.restore(workdir), pglsum.restore(tmp_path / "run")
    assert straight.step == resumed.step == STEPS
    for name, array in weights(straight).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


WHOLE_SET = change(
    SMALL,
    model={"dropout": 0.0},
    train={"batch_size": 8, "num_steps": 3, "evaluate_every": 3},
)


@pytest.fixture(scope="module")
def whole_set(folder, tmp_path_factory):
    """The log of a run whose batch is larger than the set, without dropout."""
    path = tmp_path_factory.mktemp("whole")
    pglsum.train(WHOLE_SET, path, data_dir=folder)
    return numbers(path)


def numbers(workdir):
    """Losses and norms of gradients, and the evaluation."""
    log = read_metrics(workdir)
    names = ("loss", "grad_norm")
    steps = [[line[name] for name in names] for line in log if "loss" in line]
    (evaluation,) = (line for line in log if "evaluation/tau" in line)
    return steps, [evaluation[f"evaluation/{n}"] for n in ("f_score", "tau", "rho")]


def test_a_batch_larger_than_the_set_is_the_whole_set(whole_set, folder, tmp_path):
    """Empty videos fill it up; losses and gradients' norms are those without them."""
    config = change(WHOLE_SET, train={"batch_size": 5})
    pglsum.train(config, tmp_path, data_dir=folder)
    steps, evaluation = numbers(tmp_path)
    assert len(steps) == 3
    np.testing.assert_allclose(steps, whole_set[0], rtol=1e-3)
    np.testing.assert_allclose(evaluation, whole_set[1], atol=1e-6)


def test_gradients_of_a_batch_are_the_sum_of_those_of_its_videos():
    network, params, state = made_network(dataclasses.replace(TINY, dropout=0.0))
    source, loss = VideoSet(VIDEOS[:3], batch_size=5), summed_squares()

    @quick_jit
    @jax.value_and_grad
    def run(params, batch):
        scores, _ = network.apply(params, state, **batch["inputs"])
        return loss(scores, batch["targets"])[0]

    batch = source.batch(np.arange(5))
    total, gradients = run(params, batch)
    singles = [run(params, source.batch(np.full(5, 3)))]  # nothing but empty ones
    singles += [run(params, source.batch(np.array([n, 3, 3, 3, 3]))) for n in range(3)]
    assert singles[0][0] == 0
    np.testing.assert_allclose(total, sum(value for value, _ in singles), rtol=1e-5)
    summed = jax.tree.map(lambda *leaves: sum(leaves), *(grads for _, grads in singles))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        gradients,
        summed,
    )


def test_the_loss_is_a_mean_over_steps_and_a_sum_over_videos():
    scores = np.array([[0.5, 0.0, 9.0], [0.25, 0.5, 1.0], [7.0, 7.0, 7.0]])
    targets = {"score": np.zeros((3, 3)), "length": np.array([2, 3, 0])}
    value, metrics = summed_squares()(jax.numpy.asarray(scores), targets)
    expected = [0.25 / 2, (0.0625 + 0.25 + 1) / 3]
    np.testing.assert_allclose(value, sum(expected), rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"], np.mean(expected), rtol=1e-6)


def test_held_out_videos_depend_on_the_split_alone(folder):
    videos = load_videos(SMALL.data, folder)

    def names(config):
        parts = split_videos(config, videos, folder)
        return {part: [video.name for video in those] for part, those in parts.items()}

    parts = names(SMALL)
    assert [len(parts[name]) for name in ("train", "validation", "test")] == [5, 2, 3]
    assert len({name for those in parts.values() for name in those}) == 10
    assert names(change(SMALL, train={"seed": 7})) == parts
    paper = names(dataclasses.replace(SMALL, protocol="paper"))
    assert [len(paper[name]) for name in paper] == [7, 0, 3]


# Evaluation.

ROWS = ("random", "constant", "people")


def test_evaluation_beside_chance_and_people(workdir, folder, capsys):
    pglsum.evaluate(workdir, data_dir=folder)
    printed = capsys.readouterr().out
    for row in ("PGL-SUM (ours), best on validation", *ROWS):
        assert f"\n  {row} " in printed
    assert "1 run, protocol validation; F: max over users" in printed
    written = json.loads((workdir / "evaluation.json").read_text())
    assert written["videos"].keys() == {"video_7", "video_8", "video_9"}
    video = written["videos"]["video_8"]
    assert len(video["scores"]) == len(video["picks"]) == 13
    assert (
        len(video["shots"]) == 26 and video["metrics"].keys() == written["means"].keys()
    )
    assert written["means"].keys() == {"f_score", "tau", "rho"}


def test_the_paper_s_protocol_has_all_its_readings(folder, tmp_path, capsys):
    """With relative time, which widens the features."""
    config = change(
        SMALL,
        model={"input_size": 18, "hidden_size": 16},
        data={"relative_time": True},
        train={"num_steps": 4, "batch_size": 7},
    )
    config = dataclasses.replace(config, protocol="paper")
    pglsum.train(config, tmp_path, data_dir=folder)
    pglsum.evaluate(tmp_path, data_dir=folder)
    printed = capsys.readouterr().out
    for row in ("last epoch", "the paper's criterion", "maximum on test"):
        assert f"\n  PGL-SUM (ours), {row} " in printed
    assert all(f"\n  {row} " in printed for row in ROWS) and "protocol paper" in printed
    log = read_metrics(tmp_path)
    assert sum("evaluation/tau" in line for line in log) == 4
    best = max(line["evaluation/tau"] for line in log if "evaluation/tau" in line)
    assert paper_rows(tmp_path)["PGL-SUM (ours), maximum on test"]["tau"] == best


def test_all_splits_give_a_mean_and_its_spread(folder, tmp_path, capsys):
    config = change(SMALL, train={"num_steps": 2, "evaluate_every": 2})
    grids.train_runs(SYSTEMS["pglsum"], config, tmp_path, split="all", data_dir=folder)
    printed = capsys.readouterr().out
    for split in (0, 1):
        run = pglsum.restore(tmp_path / f"split-{split}" / "seed-0")
        assert run.config.data.split == split and run.step == 2
    assert "2 runs, protocol validation" in printed
    (line,) = (line for line in printed.splitlines() if "best on validation" in line)
    assert line.count("±") == 3


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("one", "split must be a number or all; got 'one'"),
        ("7", "data.split must be b"),
    ],
)
def test_splits_that_are_not_there(folder, tmp_path, split, message):
    with pytest.raises(ValueError, match=message):
        grids.train_runs(
            SYSTEMS["pglsum"], SMALL, tmp_path, split=split, data_dir=folder
        )


def test_scores_do_not_depend_on_the_other_videos(workdir):
    run = pglsum.restore(workdir, "best")
    together = pglsum.score_steps(run, VIDEOS)
    assert [len(together[video.name]) for video in VIDEOS] == list(range(5, 15))
    alone = pglsum.score_steps(run, VIDEOS[3:4])
    np.testing.assert_allclose(together["video_3"], alone["video_3"], atol=1e-6)


def test_prediction_of_new_videos(workdir, tmp_path, capsys):
    """Without scores; one of them without shots."""
    bare = dataclasses.replace(VIDEOS[0], target=None, summaries=None, shots=None)
    new = [bare, dataclasses.replace(VIDEOS[4], target=None, summaries=None)]
    write_videos(tmp_path / "new.h5", new, {})
    run = pglsum.restore(workdir)
    pglsum.predict(run, tmp_path / "new.h5", tmp_path / "scores.json")
    printed = capsys.readouterr().out
    assert "video_4  9 steps, highest 0." in printed and "of 131" in printed
    found = json.loads((tmp_path / "scores.json").read_text())
    assert list(found) == ["video_0", "video_4"] and "shots" not in found["video_0"]
    assert {*found["video_4"]["shots"][0]} == {"first", "last", "score", "chosen"}
    expected = pglsum.score_steps(run, [VIDEOS[4]])["video_4"]
    np.testing.assert_allclose(found["video_4"]["scores"], expected, atol=2e-6)


def test_report_has_a_picture_of_every_test_video(workdir, folder, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    page = pglsum.report(workdir, tmp_path, data_dir=folder)
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 4
    assert all(row in text for row in ("Film 7", "Film 9", *ROWS))


# What does not fit is refused by name.


def test_features_of_another_size_are_refused(workdir):
    message = "video_2: features must be normalised as in training, with norms of 1"
    video = dataclasses.replace(VIDEOS[2], features=30 * VIDEOS[2].features)
    with pytest.raises(ValueError, match=message):
        pglsum.score_steps(pglsum.restore(workdir), [VIDEOS[1], video])


def test_features_of_another_width_are_refused(workdir):
    video = dataclasses.replace(VIDEOS[2], features=np.ones((7, 9), np.float32))
    with pytest.raises(ValueError, match=r"video_2: features must be \[T, 16\] \(test"):
        pglsum.score_steps(pglsum.restore(workdir), [video])


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({"data": {"extractor": "x"}}, ValueError, "data.extractor=x; it says test"),
        ({"data": {"file": "none.h5"}}, FileNotFoundError, "none.h5: no such file"),
        ({"data": {"splits": "none"}}, FileNotFoundError, "none: no such file of spl"),
        ({"data": {"split": 2}}, ValueError, "data.split must be below the 2 of"),
        ({"data": {"layout": "shots"}}, ValueError, "must have hist_shot_features"),
        (
            {"data": {"validation_videos": 7}},
            ValueError,
            "data.validation_videos must be below the 7 training videos; got 7",
        ),
        ({"model": {"input_size": 32}}, ValueError, "model.input_size must be 16 for"),
        ({"data": {"relative_time": True}}, ValueError, "model.input_size must be 18"),
    ],
)
def test_runs_that_do_not_fit_the_data(folder, tmp_path, parts, error, message):
    with pytest.raises(error, match=message):
        pglsum.train(change(SMALL, **parts), tmp_path, data_dir=folder)


def test_videos_without_scores_cannot_train(folder, tmp_path):
    videos = [dataclasses.replace(video, target=None) for video in VIDEOS]
    write_videos(tmp_path / "videos.h5", videos, {"extractor": "test"})
    shutil.copy(folder / "splits.json", tmp_path)
    with pytest.raises(ValueError, match="to train, videos must have gtscore; video_"):
        pglsum.train(SMALL, tmp_path / "run", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data": {"layout": "frames"}}, "data.layout must be one of steps, shots;"),
        ({"data": {"transform": "x"}}, "data.transform must be one of none, l2; got"),
        ({"data": {"reduce": "min"}}, "data.reduce must be one of max, mean; got"),
        ({"data": {"against": "x"}}, "data.against must be one of mean_user, each_us"),
        ({"data": {"split": -1}}, "data.split must be at least 0; got -1"),
        ({"data": {"validation_videos": 0}}, "data.validation_videos must be at least"),
        ({"train": {"accumulate": 5}}, "train.accumulate must be 1, since gradients"),
    ],
)
def test_configs_that_cannot_be(fields, message):
    with pytest.raises(ValueError, match=message):
        change(SMALL, **fields)
    with pytest.raises(ValueError, match="protocol must be one of validation, paper;"):
        dataclasses.replace(SMALL, protocol="x")


def test_runs_that_cannot_be_restored(workdir, tmp_path):
    with pytest.raises(ValueError, match="of latest, best, whole; got 'x'"):
        pglsum.restore(workdir, "x")
    with pytest.raises(FileNotFoundError, match="no checkpoints; train into"):
        pglsum.restore(tmp_path)
    with pytest.raises(ValueError, match="must be a run of gsanet; got pglsum"):
        gsanet.restore(workdir)


# Starting from weights.


def test_official_weights_start_a_run(workdir, folder, tmp_path):
    """It goes on where the other one ended."""
    run, path = pglsum.restore(workdir), tmp_path / "official.npz"
    convert.save_torch(path, "pglsum", TINY, run.params, run.state)
    config = change(SMALL, train={"num_steps": 1})
    config = dataclasses.replace(config, init_from=str(path))
    pglsum.train(config, tmp_path / "run", data_dir=folder)
    (loss,), losses = (
        [line["loss"] for line in read_metrics(path) if "loss" in line]
        for path in (tmp_path / "run", workdir)
    )
    assert loss < 0.8 * losses[0]


def test_a_run_starts_another(workdir, folder, tmp_path):
    """With the weights that are asked for."""
    kept = change(SMALL, train={"num_steps": 2, "ema_decay": 0.5})
    pglsum.train(kept, tmp_path / "kept", data_dir=folder)
    for choice, options in (
        ("", {}),
        (":best", {"choose": "best"}),
        (":averaged", {"averaged": True}),
    ):
        start = f"{tmp_path / 'kept'}{choice}"
        config = dataclasses.replace(SMALL, init_from=start)
        found = pglsum.restore(tmp_path / "kept", **options)
        start = from_weights(config).params
        jax.tree.map(np.testing.assert_array_equal, start, found.params)
    with pytest.raises(ValueError, match="one of :latest, :best, :averaged; got :ema"):
        config = dataclasses.replace(SMALL, init_from=f"{workdir}:ema")
        from_weights(config)
    with pytest.raises(ValueError, match="nowhere is no run's workdir"):
        from_weights(dataclasses.replace(SMALL, init_from="nowhere:best"))


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    wider = dataclasses.replace(TINY, hidden_size=32)
    _, params, state = made_network(wider)
    convert.save(tmp_path / "wider.safetensors", params, state, wider)
    theirs = convert.pglsum.to_torch(wider, params, state)
    part = {n: array for n, array in theirs.items() if n.startswith("attention.")}
    np.savez(tmp_path / "part.npz", **part)
    inner = {n.removeprefix("attention."): array for n, array in part.items()}
    np.savez(tmp_path / "inner.npz", **inner)
    for name, error in (
        ("wider.safetensors", "fit the network; these flags.*--model.hidden_size=32.$"),
        ("part.npz", "missing: linear_1.weight"),
        ("inner.npz", "fit the network; they are of a part of one.$"),
        ("none.npz", "no such weights file"),
    ):
        config = dataclasses.replace(SMALL, init_from=str(tmp_path / name))
        with pytest.raises((ValueError, FileNotFoundError), match=error):
            pglsum.train(config, tmp_path / "run", data_dir=folder)


# The script, on eight pretended devices.


def flags_of(config):
    """Flags that make a config out of the script's setup."""
    return [
        f"--{part}.{field.name}={getattr(getattr(config, part), field.name)}"
        for part, names in {
            "model": ("input_size", "num_heads", "local_heads", "num_segments",
                      "dropout", "hidden_size"),
            "data": ("file", "splits", "layout", "extractor", "transform",
                     "relative_time", "validation_videos"),
            "train": ("num_steps", "batch_size", "evaluate_every", "learning_rate",
                      "log_every", "warmup_steps"),
        }.items()
        for field in dataclasses.fields(getattr(config, part))
        if field.name in names
    ]  # fmt: skip


def test_the_script_on_eight_devices(whole_set, folder, tmp_path):
    """Losses and evaluation are those of one device."""
    flags = (*flags_of(WHOLE_SET), f"--workdir={tmp_path}", f"--data_dir={folder}")
    result = subprocess.run(
        [sys.executable, "experiments/pglsum.py", *flags],
        cwd=ROOT,
        env=os.environ
        | hurried_environment()
        | {
            "PYTHONPATH": str(ROOT),
            "JAX_NUM_CPU_DEVICES": "8",
            "JAX_PLATFORMS": "cpu",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0 and "Traceback" not in result.stdout, result.stdout
    assert "step 3  evaluation: f_score " in result.stdout
    for found, expected in zip(numbers(tmp_path), whole_set, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_a_metric_that_no_user_gives_is_refused_before_work(folder, tmp_path):
    config = change(SMALL, train={"best_metric": "accuracy"})
    with pytest.raises(ValueError, match="best_metric must be one of .*tau, rho"):
        pglsum.train(config, tmp_path / "run", data_dir=folder)
    assert not (tmp_path / "run").exists()


def test_weights_from_elsewhere_are_evaluated_as_they_are(
    workdir, folder, tmp_path, capsys
):
    found = pglsum.restore(workdir, "latest")
    path = tmp_path / "theirs.npz"
    convert.save_torch(path, "pglsum", TINY, found.params, found.state)
    config = dataclasses.replace(SMALL, init_from=str(path))
    pglsum.evaluate_weights(config, tmp_path / "out", split="all", data_dir=folder)
    assert "weights as they are" in capsys.readouterr().out
    theirs, ours = (
        json.loads((place / "evaluation.json").read_text())["videos"]
        for place in (tmp_path / "out/split-0/seed-0", _evaluated(workdir, folder))
    )
    assert {k: v["scores"] for k, v in theirs.items()} == {
        k: v["scores"] for k, v in ours.items()
    }


def _evaluated(workdir, folder):
    tables.evaluate_run(workdir, "latest", data_dir=folder)
    return workdir
