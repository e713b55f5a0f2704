"""PGL-SUM as an artefact: features in, the run's own scores out."""

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs h5py (extra: data)")
pytest.importorskip("flatbuffers", reason="needs flatbuffers (extra: export)")

from gpsattn_jax import convert
from gpsattn_jax.models import pglsum as models
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.export import artefacts, check
from gpsattn_jax.systems.export import models as export
from gpsattn_jax.systems.pglsum import artefact
from gpsattn_jax.systems.pglsum.setups import DataConfig
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.sharding import place
from tests.data.videos.annotated_videos import annotated
from tests.golden_pglsum import made_network

VIDEOS = [
    dataclasses.replace(video, features=3 * video.features)  # so that l2 matters
    for video in (annotated(n, steps=steps) for n, steps in enumerate((5, 11, 12)))
]
STEPS = 12


def trained_run(**data):
    """A run whose network is small and has random weights."""
    width = VIDEOS[0].features.shape[1] + 2 * data.get("relative_time", False)
    model = models.Config(input_size=width, num_heads=2, local_heads=1, num_segments=2)
    network, params, state = made_network(model)
    config = pglsum.Config(model=model, data=DataConfig(extractor="test", **data))
    facts = {"feature_norms": (0.0, float("inf"))}
    return TrainedRun(config, 3, network, params, state, place(), facts=facts)


def padded(videos):
    """Features [n, STEPS, C], as they are in files, lengths, and middles of steps."""
    features = np.zeros((len(videos), STEPS, videos[0].features.shape[1]), np.float32)
    time = np.zeros((len(videos), STEPS), np.float32)
    for row, video in enumerate(videos):
        features[row, : len(video)] = video.features
        ends = np.append(video.picks[1:], video.num_frames)
        time[row, : len(video)] = (video.picks + ends) / 2 / video.num_frames
    return features, np.array([*map(len, videos)], np.int32), time


@pytest.mark.parametrize(
    "data",
    [
        {"transform": "none"},
        {"transform": "l2", "relative_time": True},
    ],
)
def test_an_artefact_gives_the_run_s_scores(data, tmp_path):
    run, path = trained_run(**data), tmp_path / "run.stablehlo"
    model = artefact.run_model(run, steps=STEPS)
    export.export(model, path)
    inputs = padded(VIDEOS)[: 3 if data.get("relative_time") else 2]
    found = np.asarray(artefacts.load(path)(*inputs))
    expected = pglsum.score_steps(run, VIDEOS)
    for row, video in zip(found, VIDEOS, strict=True):
        scores = expected[video.name]
        np.testing.assert_allclose(row[: len(video)], scores, atol=1e-5)
        assert not row[len(video) :].any() and np.ptp(scores) > 0


def test_a_fresh_process_gives_the_same_scores(tmp_path, capsys):
    path = tmp_path / "run.stablehlo"
    check.finish(artefact.run_model(trained_run(), steps=STEPS), path)
    assert "without our code: largest difference" in capsys.readouterr().out
    description = json.loads(path.with_suffix(".json").read_text())
    assert description["inputs"]["features"]["shape"] == ["b", STEPS, 16]
    assert description["step"] == 3 and description["extractor"] == "test"


def test_random_lengths_fill_the_artefact(tmp_path):
    """Else a check would compare little more than zeros."""
    model = artefact.run_model(trained_run(), steps=STEPS)
    arrays = check._inputs_and_outputs(model, (3,))
    assert arrays["3/in/1"].max() > STEPS / 2 and arrays["3/in/1"].max() <= STEPS
    assert (arrays["3/out/0"] > 0).sum() == arrays["3/in/1"].sum()


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        artefact.run_model(trained_run(), steps=0)
    file = tmp_path / "weights.safetensors"
    convert.save(file, {"kernel": np.zeros(2)}, {})
    with pytest.raises(ValueError, match="exported from a run's workdir"):
        pglsum.export(file, tmp_path / "run.stablehlo")
