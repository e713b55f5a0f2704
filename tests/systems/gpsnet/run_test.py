"""GPS-Net's journey: setups, training, resuming, evaluation, fusion, prediction."""

import dataclasses
import json
import pickle
import re

import jax
import numpy as np
import pytest

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts
from gpsattn_jax.data.skeletons.recipe import AugmentConfig
from gpsattn_jax.models import gpsnet as models
from gpsattn_jax.models.gpsnet.config import FORMER_FIELDS
from gpsattn_jax.systems import SYSTEMS, gpsnet, grids
from gpsattn_jax.systems.gpsnet import tables
from gpsattn_jax.systems.gpsnet.clips import augment, clip_source, config_for
from gpsattn_jax.systems.gpsnet.run import make_forward
from gpsattn_jax.systems.tables import mean_sd
from gpsattn_jax.training.checkpoints import Checkpoints
from tests.systems.gpsnet import small as gpsnet_small


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random clips, and the layout they are of."""
    clips = tmp_path_factory.mktemp("gpsnet") / "clips"
    return clips, gpsnet_small.make_clips(clips)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    """The workdir of a run of two steps."""
    workdir = tmp_path_factory.mktemp("gpsnet") / "run"
    gpsnet.train(gpsnet_small.config(*folder), workdir)
    return workdir


def changed(config, **parts):
    """A config with fields of its parts replaced: train={"seed": 1}."""
    return dataclasses.replace(
        config,
        **{
            name: dataclasses.replace(getattr(config, name), **fields)
            for name, fields in parts.items()
        },
    )


# Setups.


@pytest.mark.parametrize("name", gpsnet.SETUPS)
def test_setups_can_be_built(name):
    config = gpsnet.SETUPS[name]
    assert models.build(config.model).shapes()
    assert config.train.batch_size % config.train.accumulate == 0
    assert config.train.num_steps % config.train.log_every < config.train.log_every


SETS = {
    "nw_ucla": (10, 1020, 464, 1, "nw_ucla20"),
    "jhmdb14": (14, 434, 175, 3, "jhmdb15"),
    "utkinect": (10, 100, 99, 10, "utkinect20"),
    "florence3d": (9, 108, 107, 10, "florence15"),
    "msr_action3d": (20, 285, 272, 10, "msr20"),
}


@pytest.mark.parametrize("name", SETS)
def test_real_sets(data_dir, name):
    classes, _, _, splits, layout = SETS[name]
    data = gpsnet.SETUPS[name].data
    assert gpsnet.num_splits(data, data_dir) == splits
    last = dataclasses.replace(data, split=splits - 1)
    parts = load_parts(last, data_dir)
    assert len(parts["train"].class_names) == classes
    assert not set(parts["train"].names) & set(parts["test"].names)
    config = config_for(gpsnet.SETUPS[name], parts["train"])
    assert config.model.edges == LAYOUTS[layout].edges
    assert config.model.num_classes == classes
    with pytest.raises(ValueError, match=rf"data.split must be below {splits} "):
        load_parts(dataclasses.replace(data, split=splits), data_dir)


def test_held_out_clips_train_nothing(data_dir):
    data = gpsnet.SETUPS["utkinect"].data
    whole = load_parts(data, data_dir)
    parts = load_parts(dataclasses.replace(data, validation_fold=1), data_dir)
    assert set(parts["validation"].names) | set(parts["train"].names) == set(
        whole["train"].names
    )
    assert not set(parts["validation"].groups) & set(parts["train"].groups)
    assert parts["test"].names == whole["test"].names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "ucla"}, "data.name must be one of nw_ucla, .*; got 'ucla'"),
        ({"missing": "zero"}, "data.missing must be one of mask, interpolate"),
        ({"split": -1}, "data.split must be at least 0; got -1"),
        ({"num_frames": 0}, "data.num_frames must be at least 1"),
        ({"name": "folder"}, "data.path must be a file or folder for data.name=folder"),
        ({"path": "x"}, "data.path must be empty for data.name=nw_ucla; got 'x'"),
    ],
)
def test_data_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": (0.0, 1.0)}, "augment.crop must rise"),
        ({"scale": (1.2, 0.8)}, "augment.scale must rise"),
        ({"noise": -1.0}, "augment.noise"),
        ({"mirror": 1.0}, "augment.mirror must be in"),
    ],
)
def test_augmentation_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        AugmentConfig(**options)


# Data.


def test_a_folder_needs_its_splits_by_name(folder):
    config = gpsnet_small.config(*folder).data
    with pytest.raises(ValueError, match=r"its splits \(test, train\); got 'fit'"):
        load_parts(dataclasses.replace(config, train_split="fit"))


def test_a_folder_needs_a_layout(folder):
    config = gpsnet_small.config(*folder).data
    with pytest.raises(ValueError, match="data.layout must name the joints' layout"):
        load_parts(dataclasses.replace(config, layout=""))


def test_a_pickle_as_pyskl_has_it(tmp_path):
    draw = np.random.default_rng(0)
    annotations = [
        {
            "frame_dir": f"clip{n}",
            "total_frames": 6,
            "label": n % 2,
            "keypoint": draw.normal(size=(1 + n % 2, 6, 17, 2)).astype(np.float16),
            "keypoint_score": np.ones((1 + n % 2, 6, 17), np.float16),
        }
        for n in range(6)
    ]
    split = {"train": ["clip0", "clip1", "clip2", "clip3"], "val": ["clip4", "clip5"]}
    path = tmp_path / "poses.pkl"
    path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}))
    data = DataConfig(name="pickle", path=str(path), layout="coco17", test_split="val")
    parts = load_parts(data)
    assert [len(parts[name]) for name in ("train", "test")] == [4, 2]
    assert parts["train"].joints.shape[1:] == (2, 17, 2)
    assert config_for(gpsnet.SETUPS["pickle"], parts["train"]).model.num_joints == 17


def test_augmentation_is_a_function_of_its_key(folder):
    config = gpsnet_small.config(*folder)
    config = changed(
        config,
        augment={"drop_joints": 0.2, "drop_frames": 0.1, "degrees": (0.0, 0.0, 30.0)},
    )
    clips = load_parts(config.data)["train"]
    source = ClipSet(clips, 8)
    batch = source.batch(np.arange(4), None)
    config = config_for(config, clips)
    changes = [
        augment(config, clips.layout.mirror, batch, jax.random.key(seed))["inputs"]
        for seed in (0, 0, 1)
    ]
    for name in ("joints", "mask"):
        np.testing.assert_array_equal(changes[0][name], changes[1][name])
        assert (np.asarray(changes[0][name]) != changes[2][name]).any()
    assert not np.asarray(changes[0]["joints"])[~np.asarray(changes[0]["mask"])].any()


# Training and what comes after.


def test_a_run_can_be_asked(run):
    trained_run = gpsnet.restore(run)
    assert trained_run.step == 2
    assert trained_run.class_names == gpsnet_small.CLASSES
    assert trained_run.facts["layout"] == gpsnet_small.LAYOUT
    draw = np.random.default_rng(0)
    clips = gpsnet_small.clips(
        [draw.normal(size=(n, 1, 6, 2)).astype("f") for n in (1, 40)]
    )
    shares = gpsnet.probabilities(trained_run, clips)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    moved = dataclasses.replace(clips, joints=clips.joints + 3)
    np.testing.assert_allclose(
        gpsnet.probabilities(trained_run, moved), shares, atol=1e-5
    )


def test_draws_of_frames_are_averaged(run):
    """The mean of single draws; a run that resizes clips has none."""
    resizing = gpsnet.restore(run)
    draw = np.random.default_rng(0)
    clips = gpsnet_small.clips(
        [draw.normal(size=(n, 1, 6, 2)).astype("f") for n in (1, 5, 40)]
    )
    with pytest.raises(ValueError, match="samplings must be 0 .* got 2"):
        gpsnet.probabilities(resizing, clips, samplings=2)
    drawing = dataclasses.replace(
        resizing, config=changed(resizing.config, data={"frames": "draw"})
    )
    source = clip_source(drawing.config, clips)
    forward = jax.jit(make_forward(drawing.network, drawing.config))
    single = [
        forward(
            drawing.params,
            drawing.state,
            source.batch(np.arange(3), np.arange(3) + (seed << 40))["inputs"],
        )
        for seed in range(3)
    ]
    assert abs(single[0] - single[1]).max() > 1e-3
    together = gpsnet.probabilities(drawing, clips, samplings=3)
    np.testing.assert_allclose(together, np.mean(single, axis=0), atol=1e-5)
    even = gpsnet.probabilities(drawing, clips)
    assert abs(even - together).max() > 1e-3


def test_turns_come_before_the_cube(folder):
    """Training clips of `data.min_max` are turned, and fill the cube all the same."""
    config = changed(
        gpsnet_small.config(*folder),
        data={"min_max": True},
        augment={"degrees": (0.0, 0.0, 60.0), "scale": (0.5, 1.5), "noise": 0.0,
                 "mirror": 0.0, "crop": (1.0, 1.0)},
    )  # fmt: skip
    clips = load_parts(config.data)["train"]
    config = config_for(config, clips)
    seeds = np.arange(4)
    batch, other = (
        clip_source(config, clips, training=training).batch(seeds, seeds)
        for training in (True, False)
    )
    changed_batch = augment(config, (), batch, jax.random.key(0))["inputs"]
    joints = np.asarray(changed_batch["joints"])
    np.testing.assert_array_equal(joints, batch["inputs"]["joints"])
    assert abs(joints - other["inputs"]["joints"]).max() > 0.1
    assert abs(joints).max() <= 1 + 1e-5


def test_a_run_knows_its_skeleton(run):
    trained_run = gpsnet.restore(run)
    three = gpsnet_small.clips([np.ones((4, 1, 6, 3), np.float32)])
    message = r"clips must have 6 joints \(chain6\) of 2 coordinates; got 6 of 3"
    with pytest.raises(ValueError, match=message):
        gpsnet.probabilities(trained_run, three)


@pytest.mark.exhaustive  # as pglsum's and transxnet's, and each recipe's in fit_test
def test_a_stopped_run_ends_like_an_undisturbed_one(folder, tmp_path, monkeypatch):
    config = changed(
        gpsnet_small.config(*folder), train={"num_steps": 6, "evaluate_every": 3}
    )
    gpsnet.train(config, tmp_path / "straight")
    batch, calls = ClipSet.batch, []

    def interrupted(self, places, seeds):
        calls.append(seeds)
        if len(calls) == 5:
            raise OSError("the disk is gone")
        return batch(self, places, seeds)

    with monkeypatch.context() as patch:
        patch.setattr(ClipSet, "batch", interrupted)
        with pytest.raises(OSError, match="the disk is gone"):
            gpsnet.train(config, tmp_path / "stopped")
    gpsnet.train(config, tmp_path / "stopped")
    straight, stopped = (
        gpsnet.restore(tmp_path / name) for name in ("straight", "stopped")
    )
    assert stopped.step == straight.step == 6
    for name, array in flatten(straight.params).items():
        np.testing.assert_array_equal(array, flatten(stopped.params)[name])


def test_other_settings_are_refused(folder, run):
    config = changed(gpsnet_small.config(*folder), train={"learning_rate": 0.5})
    with pytest.raises(ValueError, match=r"train\.learning_rate"):
        gpsnet.train(config, run)


@pytest.mark.parametrize("name, value", FORMER_FIELDS.items())
def test_a_run_saved_with_an_option_that_is_gone(folder, run, monkeypatch, name, value):
    """It is restored and goes on; with another value than all have now, neither."""
    metadata = Checkpoints.metadata

    def save_with(value):
        def changed_metadata(self, step):
            found = metadata(self, step)
            return found | {"model": found["model"] | {name: value}}

        monkeypatch.setattr(Checkpoints, "metadata", changed_metadata)

    save_with(value[-1])
    config = gpsnet_small.config(*folder)
    assert not hasattr(gpsnet.restore(run).config.model, name)
    gpsnet.train(config, run)
    save_with(5)
    for go_on in (lambda: gpsnet.restore(run), lambda: gpsnet.train(config, run)):
        with pytest.raises(ValueError, match=f"{name} is no option any more.* got 5"):
            go_on()


def test_evaluation_of_one_run(run, capsys):
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
    (found,) = gpsnet.evaluate(run)
    text = capsys.readouterr().out
    assert "3 classes, 12 + 12 clips (train + test), 1 run" in text
    for row in ("1-nearest neighbour", tables.TITLE, "wave"):
        assert row in text
    written = json.loads((run / "evaluation.json").read_text())
    assert len(written["clips"]) == 12 == len(found.clips)
    right = [clip["label"] == clip["predicted"] for clip in written["clips"].values()]
    assert written["accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.slow
def test_splits_seeds_streams_and_their_fusion(folder, tmp_path, capsys):
    config = gpsnet_small.config(*folder)
    grids.train_runs(SYSTEMS["gpsnet"], config, tmp_path, stream="all", split="all")
    text = capsys.readouterr().out
    runs = sorted(path.parent for path in tmp_path.glob("split-0/*/*/checkpoints"))
    order = sorted(models.STREAMS)
    assert [str(path.relative_to(tmp_path)) for path in runs] == [
        f"split-0/seed-0/{stream}" for stream in order
    ]
    assert "fused 2:2:1:1" in text and "1 run;" in text
    each = np.stack([tables.evaluate_run(path).probabilities for path in runs])
    weights = [{"joint": 3.0}.get(stream, 1.0) for stream in order]
    (fused,) = gpsnet.evaluate(tmp_path, fuse=[3, 1, 1, 1])
    expected = np.average(each, axis=0, weights=weights)
    np.testing.assert_allclose(fused.probabilities, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="fuse must be 4 weights, for joint, bone, "):
        gpsnet.evaluate(tmp_path, fuse=[1, 1])


def test_means_and_deviations():
    assert mean_sd([80.0]) == "80.0"
    assert mean_sd([80.0, 90.0]) == "85.0 ± 7.1"


def test_no_seed_and_no_such_split(folder, tmp_path):
    config = gpsnet_small.config(*folder)
    with pytest.raises(ValueError, match="seeds must be at least 1; got 0"):
        grids.train_runs(SYSTEMS["gpsnet"], config, tmp_path, seeds=0)
    with pytest.raises(ValueError, match="split must be a number or all; got 'one'"):
        grids.train_runs(SYSTEMS["gpsnet"], config, tmp_path, split="one")
    with pytest.raises(ValueError, match="data.split must be below 1"):
        grids.train_runs(SYSTEMS["gpsnet"], config, tmp_path, split="3")


def test_prediction_on_files(folder, run, tmp_path, capsys):
    clips, _ = folder
    trained_run = gpsnet.restore(run)
    output = tmp_path / "found.json"
    gpsnet.predict(trained_run, [clips / "clip00.npy"], output)
    written = json.loads(output.read_text())
    (shares,) = written.values()
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
    assert "clip00.npy: " in capsys.readouterr().out
    gpsnet.predict(trained_run, [clips])
    assert len(capsys.readouterr().out.splitlines()) == 24
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"empty: no clips there; looked for .npy"
    ):
        gpsnet.predict(trained_run, [empty])


def test_prediction_of_another_skeleton(run, tmp_path):
    path = tmp_path / "kinect.npy"
    np.save(path, np.ones((5, 20, 2), np.float32))
    with pytest.raises(ValueError, match=r"kinect\.npy.*6 joints.*chain6.*20"):
        gpsnet.predict(gpsnet.restore(run), [path])


@pytest.mark.slow
def test_a_run_starts_from_another(folder, run, tmp_path, capsys):
    config = dataclasses.replace(gpsnet_small.config(*folder), init_from=str(run))
    config = changed(config, train={"learning_rate": 0.0})
    gpsnet.train(config, tmp_path)
    before, after = gpsnet.restore(run), gpsnet.restore(tmp_path)
    for name, array in flatten(before.params).items():
        np.testing.assert_array_equal(array, flatten(after.params)[name])


def test_a_run_of_another_system(run, tmp_path):
    with pytest.raises(ValueError, match="choose must be one of latest, best"):
        gpsnet.restore(run, "last")
    with pytest.raises(FileNotFoundError, match="train into"):
        gpsnet.restore(tmp_path)
