"""The report of a GPS-Net run, and what its pictures are drawn from."""

import dataclasses
import json

import jax
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")

from gpsattn_jax import convert
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts
from gpsattn_jax.models import gpsnet as models
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.export import artefacts
from gpsattn_jax.systems.export import check as export_check
from gpsattn_jax.systems.export import models as export
from gpsattn_jax.systems.gpsnet import artefact, pictures, tables
from gpsattn_jax.systems.gpsnet.pictures import (
    attention_maps,
    attention_received,
    axes_to_draw,
    draw_attention,
)
from gpsattn_jax.systems.gpsnet.run import scores as clip_scores
from gpsattn_jax.systems.reports import examples_to_show
from tests.systems.gpsnet import small as gpsnet_small

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def workdir():
    return gpsnet_small.train_once()


@pytest.fixture(scope="module")
def trained_run(workdir):
    return gpsnet.restore(workdir)


@pytest.fixture(scope="module")
def held(trained_run):
    return load_parts(trained_run.config.data)["test"]


def test_the_page_stands_alone_with_scores_and_every_picture(
    workdir, trained_run, held, tmp_path
):
    written = gpsnet.report(workdir, tmp_path)
    text = written.read_text()
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == [
        "channel_attention_block_0.png",
        "channel_attention_block_1.png",
        *(f"clip_{n}.png" for n in range(1, 7)),
        "geodesic_bias.png",
        "learning.png",
        "mistakes.png",
        "parts.png",
    ]
    assert text.count("<img ") == len(pictures) and 'src="data:image/png' in text
    assert "reconstructed from its abstract" in text and "No clips were held" in text
    scores = json.loads((tmp_path / "scores.json").read_text())
    ours = scores["accuracy"].pop(tables.TITLE)
    shares = gpsnet.probabilities(trained_run, held)
    assert ours == clip_scores(shares, held.labels)["accuracy"]
    assert scores["test_clips"] == 12 and scores["step"] == 2


def test_confusion_of_several_runs_is_one_picture(workdir, tmp_path):
    run = tables.evaluate_run(workdir)
    assert tables.confusion([run, run]).sum() == 24
    tables._draw_confusion([run, run], tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(PNG)


def another(trained_run, **model):
    """The run with another model, of random weights."""
    model = dataclasses.replace(trained_run.config.model, **model)
    network = models.build(model)
    draw = np.random.default_rng(0)
    params, state = jax.tree.map(  # of both signs no variance could be
        lambda leaf: draw.uniform(0, 0.5, leaf.shape).astype(leaf.dtype),
        network.shapes(),
    )
    config = dataclasses.replace(trained_run.config, model=model)
    return dataclasses.replace(
        trained_run, config=config, network=network, params=params, state=state
    )


@pytest.mark.parametrize(
    ("model", "left_out"),
    [
        ({"spatial_attention": False}, {"Geodesic bias"}),
        ({"geodesic_bias": False, "share_time": True}, {"Geodesic bias"}),
        ({"channel_attention": False, "partition": "none"}, {"Channel", "Parts"}),
    ],
)
def test_options_without_a_picture_leave_it_out(trained_run, held, model, left_out):
    shares = gpsnet.probabilities(trained_run, held)
    drawings = draw_attention(another(trained_run, **model), held, shares)
    kinds = {heading.split(",")[0] for heading in drawings}
    kinds = {"Clip" if kind.startswith("Clip") else kind for kind in kinds}
    kinds = {"Channel" if kind.startswith("Channel") else kind for kind in kinds}
    assert kinds == {"Clip", "Geodesic bias", "Channel", "Parts"} - left_out


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"partition": "shell"}, ["0 bones away", "1 bone away", "2 bones away"]),
        ({"partition": "voronoi"}, ["near hip", "near head", "near hand", "near foot"]),
        ({"partition": "joint"}, list(gpsnet_small.LAYOUT.joints)),
    ],
)  # fmt: skip
def test_parts_are_named(trained_run, held, model, names):
    other = another(trained_run, **model)
    figure, _ = pictures._parts(other, held)["Parts"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names


# What attention joints receive.


def test_attention_received_sums_to_one_over_joints(trained_run, held):
    maps, inputs = attention_maps(trained_run, held, np.arange(3))
    assert [len(maps[name]) for name in ("spatial", "channel")] == [2, 2]
    heat = attention_received(maps["spatial"][0][0], inputs["mask"][0])
    assert heat.shape == inputs["mask"][0].shape
    np.testing.assert_allclose(heat.sum(-1), 1, rtol=1e-5)


def test_missing_joints_neither_ask_nor_receive():
    draw = np.random.default_rng(0)
    mask = draw.random((2, 4, 5)) < 0.6
    mask[1, 2] = False  # nobody there
    weights = draw.random((2, 4, 3, 5, 5)) * mask[:, :, None, None]
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-9)
    heat = attention_received(weights, mask)
    assert (heat[~mask] == 0).all()
    np.testing.assert_allclose(heat.sum(-1), mask.any(-1), atol=1e-6)
    changed = np.where(mask[:, :, None, :, None], weights, 7.0)
    np.testing.assert_allclose(attention_received(changed, mask), heat)


def test_shared_maps_serve_all_frames():
    weights = np.full((1, 1, 2, 3, 3), 1 / 3)
    heat = attention_received(weights, np.ones((1, 4, 3), bool))
    np.testing.assert_allclose(heat, np.full((1, 4, 3), 1 / 3))


def test_half_of_the_clips_to_show_are_mistakes_of_different_classes():
    labels = np.arange(40) % 4
    predicted = labels.copy()
    predicted[::5] = (predicted[::5] + 1) % 4
    chosen = examples_to_show(labels, predicted, 6)
    wrong = predicted[chosen] != labels[chosen]
    assert wrong.tolist() == [True] * 3 + [False] * 3
    assert len(set(predicted[chosen[:3]])) == len(set(predicted[chosen[3:]])) == 3
    assert len(set(chosen)) == 6
    assert len(examples_to_show(labels[:4], labels[:4], 6)) == 4


@pytest.mark.parametrize(
    ("name", "dimensions", "expected"),
    [
        ("florence15", 3, ((0, 2), False)),
        ("utkinect20", 3, ((0, 1), False)),
        ("jhmdb15", 2, ((0, 1), True)),
        ("mediapipe33", 3, ((0, 1), True)),
    ],
)
def test_which_way_is_up(name, dimensions, expected):
    assert axes_to_draw(LAYOUTS[name], dimensions) == expected


@pytest.mark.parametrize("name", ["florence3d", "utkinect", "msr_action3d", "jhmdb14"])
def test_heads_are_drawn_above_feet(data_dir, name):
    clips = load_parts(DataConfig(name=name), data_dir)["test"]
    (_, up), falls = axes_to_draw(clips.layout, clips.joints.shape[-1])
    joints = clips.layout.joints
    head = next(n for n, joint in enumerate(joints) if joint in ("head", "face"))
    foot = next(n for n, joint in enumerate(joints) if joint.endswith("ankle"))
    both = clips.mask[:, 0, [head, foot]].all(-1)
    heights = clips.joints[both, 0, :, up] * (-1 if falls else 1)
    assert (heights[:, head] > heights[:, foot]).mean() > 0.9


# Artefacts.


def test_an_exported_run_gives_its_probabilities(trained_run, held, tmp_path):
    pytest.importorskip("flatbuffers", reason="needs flatbuffers (extra: export)")
    model, path = artefact.run_model(trained_run), tmp_path / "a.stablehlo"
    description = export.export(model, path)
    inputs = ClipSet(held, gpsnet_small.FRAMES).batch(np.arange(5), None)
    inputs = inputs["inputs"]
    found = artefacts.load(path)(*(inputs[name] for name in description["inputs"]))
    expected = gpsnet.probabilities(trained_run, held)[:5]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert tuple(description["class_names"]) == gpsnet_small.CLASSES
    assert export_check.check(model, path, sizes=(2,)) <= 1e-5


def test_what_cannot_be_exported_is_refused(trained_run, tmp_path):
    with pytest.raises(ValueError, match="persons must be at least 1; got 0"):
        artefact.run_model(trained_run, persons=0)
    file = tmp_path / "net.safetensors"
    convert.save(file, {"kernel": np.zeros(2)}, {})
    with pytest.raises(ValueError, match="exported from a run's workdir"):
        gpsnet.export(file, tmp_path / "net.stablehlo")


def test_a_graph_network_has_pictures_of_clips_alone(trained_run, held):
    model = dataclasses.replace(trained_run.config.model, block="graph", num_heads=2)
    network = models.build(model)
    params, state = network.init(jax.random.key(0))
    run = dataclasses.replace(
        trained_run,
        config=dataclasses.replace(trained_run.config, model=model),
        network=network, params=params, state=state,
    )  # fmt: skip
    shares = gpsnet.probabilities(run, held)
    drawings = draw_attention(run, held, shares)
    assert drawings and all(title.startswith("Clip ") for title in drawings)
