"""The videos of a run: splits of every kind, bad videos left out, features alone."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="needs h5py (extra: data)")

from gpsattn_jax.data.videos.feature_files import write_videos  # noqa: E402
from gpsattn_jax.systems import pglsum  # noqa: E402
from gpsattn_jax.systems.pglsum.scores import mean_scores  # noqa: E402
from gpsattn_jax.systems.pglsum.setups import Config, DataConfig  # noqa: E402
from gpsattn_jax.systems.pglsum.videos import load_videos, split_videos  # noqa: E402
from tests.data.videos.annotated_videos import annotated  # noqa: E402
from tests.scripts import run_script  # noqa: E402

ROOT = pathlib.Path(__file__).parents[3]
DATA = DataConfig(
    file="videos.h5", splits="splits.json", extractor="made", validation_videos=1
)


@pytest.fixture
def folder(tmp_path):
    videos = [annotated(n, steps=5 + n) for n in range(6)]
    write_videos(tmp_path / "videos.h5", videos, {"extractor": "made"})
    return tmp_path


def parts(folder, splits, **options):
    """Names of each part."""
    name = options.pop("name", "splits.json")
    (folder / name).write_text(splits)
    protocol = options.pop("protocol", "validation")
    data = dataclasses.replace(DATA, splits=name, **options)
    found = split_videos(
        Config(data=data, protocol=protocol), load_videos(data, folder), folder
    )
    return {part: [video.name for video in videos] for part, videos in found.items()}


WITH_VALIDATION = (
    '[{"train_keys": ["video_0", "x/y.h5/video_1"], "val_keys": ["video_2"],'
    ' "test_keys": ["video_3"]}]'
)


def test_a_split_s_own_validation_keys_are_used(folder):
    assert parts(folder, WITH_VALIDATION) == {
        "train": ["video_0", "video_1"],
        "validation": ["video_2"],
        "test": ["video_3"],
    }


def test_the_paper_s_protocol_says_that_it_does_not_use_them(folder, capsys):
    found = parts(folder, WITH_VALIDATION, protocol="paper")
    assert found["validation"] == [] and found["train"] == ["video_0", "video_1"]
    assert "split 0: val_keys are not used by protocol=paper" in capsys.readouterr().err


def test_yaml_with_paths(folder):
    pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")
    text = "- train_keys: [a/b.h5/video_0, a/b.h5/video_1]\n  test_keys: [q/video_2]\n"
    found = parts(folder, text, name="splits.yml")
    assert sorted(found["train"] + found["validation"]) == ["video_0", "video_1"]
    assert found["test"] == ["video_2"] and len(found["validation"]) == 1


def test_bad_videos_leave_the_split_too(folder, capsys):
    splits = (
        '[{"train_keys": ["video_0", "video_1", "video_4"],'
        ' "test_keys": ["video_2", "video_5"]}]'
    )
    with h5py.File(folder / "videos.h5", "a") as file:
        for name in ("video_1", "video_5"):
            del file[name]["picks"]
    with pytest.raises(ValueError, match="2 of 6 videos do not fit"):
        parts(folder, splits)
    found = parts(folder, splits, skip_bad=True)
    assert sorted(found["train"] + found["validation"]) == ["video_0", "video_4"]
    assert found["test"] == ["video_2"]
    printed = capsys.readouterr().err
    assert "2 of 6 videos do not fit" in printed
    assert "split 0: left out, bad or not there: video_1, video_5" in printed


def test_a_metric_that_is_not_defined_is_left_out_of_a_log():
    """The table has a dash where it is not defined, so the log has no 0."""
    found = [{"f_score": np.nan, "tau": 0.5}, {"f_score": 40.0, "tau": 0.3}]
    assert np.isnan(mean_scores(found)["f_score"])
    assert mean_scores(found, "tau") == {"tau": pytest.approx(0.4)}
    # What a checkpoint is chosen by has to be a number.
    assert mean_scores(found, "f_score") == {
        "f_score": pytest.approx(20), "tau": pytest.approx(0.4)
    }  # fmt: skip


def test_features_alone_are_scored(folder, tmp_path):
    """Without picks and n_frames: places are then time steps."""
    (folder / "splits.json").write_text(
        '[{"train_keys": ["video_0", "video_1"], "test_keys": ["video_2"]}]'
    )
    model = pglsum.SETUPS["summe"].model
    config = dataclasses.replace(
        pglsum.SETUPS["summe"],
        data=DATA,
        model=dataclasses.replace(
            model, input_size=16, num_heads=2, local_heads=2, num_segments=2
        ),
        train=dataclasses.replace(
            pglsum.SETUPS["summe"].train, num_steps=1, batch_size=2, evaluate_every=1
        ),
    )
    pglsum.train(config, tmp_path / "run", data_dir=folder)
    with h5py.File(tmp_path / "alone.h5", "w") as file:
        for number in range(2):
            file[f"video_{number}/features"] = annotated(number, steps=5).features
    code, _, err = run_script(
        "pglsum", "--mode=predict", f"--workdir={tmp_path / 'run'}",
        f"--features={tmp_path / 'alone.h5'}", f"--output={tmp_path / 'scores.json'}",
    )  # fmt: skip
    assert code == 0, err
    assert "2 videos have features alone: their places are time steps" in err
    found = json.loads((tmp_path / "scores.json").read_text())
    assert [len(video["scores"]) for video in found.values()] == [5, 5]
    assert found["video_1"]["picks"] == list(range(5))
