"""Segmentation's whole journey: a folder trained on, scored, predicted, reported."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.data.images.decode import decode
from gpsattn_jax.data.segmentation import AugmentConfig, DataConfig
from gpsattn_jax.models import gsanet, semantic_fpn
from gpsattn_jax.systems import runs, segmentation
from gpsattn_jax.systems.run_files import write_run
from gpsattn_jax.systems.segmentation.artefact import open_model
from gpsattn_jax.systems.segmentation.run import _loaded, layers
from gpsattn_jax.training import TrainConfig
from gpsattn_jax.training.optimizers import layer_numbers
from tests.data.segmentation.made_masks import write_pair

image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

MODEL = semantic_fpn.Config(
    backbone="gsanet",
    gsanet=gsanet.Config(
        layers=(1, 1), widths=(4, 8), expansion=2, mixers=("conv", "conv"),
        image_size=16, stem="patch", patch_size=2, features_only=True,
    ),
    channels=8, head_channels=8, num_classes=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eleven pictures of three bands, larger and smaller than the network's 16 x 16."""
    path = tmp_path_factory.mktemp("bands")
    for number in range(11):
        write_pair(path, f"deep/{number}", (12 + number, 20 + number))
    (path / "classes.txt").write_text("dark\ngrey\nbright\n")
    return path


@pytest.fixture(scope="module")
def config(folder):
    return segmentation.Config(
        model=MODEL,
        data=DataConfig(name="folder", folder=str(folder), validation_pictures=2),
        augment=AugmentConfig(scale=(0.8, 1.25), flip=True),
        train=TrainConfig(
            num_steps=30, batch_size=4, learning_rate=0.02, warmup_steps=3,
            evaluate_every=15, log_every=5, label_smoothing=0.0,
            best_metric="mean_iou",
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    segmentation.train(config, path)
    return path


def test_it_learns_and_is_scored_beside_one_class_everywhere(workdir, capsys):
    rows = segmentation.evaluate(workdir)
    (trivial,), (ours,) = rows.values()
    # Three bands of about the same area: one of them everywhere is right on a third.
    assert 0.1 < trivial < 0.13 and ours > 3 * trivial
    printed = capsys.readouterr().out
    assert "ResNet with Semantic FPN (ours)" in printed and "2 test pictures" in printed
    assert "everywhere" in printed and "bright" in printed


def test_any_folder_can_be_scored(workdir, folder, capsys):
    segmentation.evaluate(workdir, folder=folder, stride=16, with_baselines=False)
    assert "11 test pictures" in capsys.readouterr().out


def test_pictures_held_out_of_others_now_are_no_test(config, folder, tmp_path):
    """One picture more: of today's test pictures some may have been trained on."""
    mine = shutil.copytree(folder, tmp_path / "pictures")
    data = dataclasses.replace(config.data, folder=str(mine))
    once = dataclasses.replace(config.train, num_steps=1, evaluate_every=1)
    segmentation.train(
        dataclasses.replace(config, data=data, train=once), tmp_path / "run"
    )
    write_pair(mine, "deep/99", (16, 16))
    _loaded.cache_clear()
    for score in (segmentation.evaluate, segmentation.report):
        with pytest.raises(
            ValueError, match=r"had 7 images to train .* are 8 now\. .*"
        ):
            score(tmp_path / "run", with_baselines=False)


def test_a_window_over_all_gives_what_the_network_gives(workdir, folder):
    run = segmentation.restore(workdir)
    picture = decode(folder / "images/deep/4.jpg")[:16, :16]
    (found,) = segmentation.segment(run, [picture])
    images = (picture[None] / 255 - 0.5) / 0.25
    wanted, _ = run.network.apply(run.params, run.state, images.astype(np.float32))
    np.testing.assert_allclose(found, wanted[0], atol=1e-4)


def test_predictions_are_masks_and_overlays_of_the_pictures_names(
    workdir, folder, tmp_path
):
    run = segmentation.restore(workdir)
    found = segmentation.predict(run, folder / "images", tmp_path)
    assert len(found) == 11
    for number in (0, 10):
        name, file = f"deep/{number}.png", folder / f"images/deep/{number}.jpg"
        mask = image_library.open(tmp_path / "masks" / name)
        overlay = image_library.open(tmp_path / "overlays" / name)
        assert mask.mode == "P" and overlay.mode == "RGB"
        assert mask.size == overlay.size == (20 + number, 12 + number)
        shares = found[str(file)]
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["bright"] == np.mean(np.asarray(mask) == 2)
        logits = next(segmentation.segment(run, [decode(file)]))
        np.testing.assert_array_equal(np.asarray(mask), logits.argmax(-1))
    other = segmentation.predict(run, folder / "images", window=32, stride=32)
    assert other.keys() == found.keys() and other != found


def test_two_pictures_of_one_name_are_refused(workdir, folder, tmp_path):
    write_pair(tmp_path, "deep/3", (16, 16))
    run, both = segmentation.restore(workdir), [folder / "images", tmp_path / "images"]
    with pytest.raises(ValueError, match=r"deep/3.jpg and .* as deep/3.png; predict"):
        segmentation.predict(run, both)


def test_a_report_has_scores_and_overlays(workdir, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    page = segmentation.report(workdir, tmp_path)
    pixels = np.asarray(image_library.open(tmp_path / "masks.png").convert("RGB"))
    assert min(pixels.shape[:2]) > 300 and pixels.std() > 5
    text = page.read_text()
    assert "ResNet with Semantic FPN on folder" in text and "IoU by class" in text
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert kept["test_pictures"] == 2 and len(kept["scores"]) == 2


def test_a_run_is_one_file_that_starts_another(workdir, config, tmp_path, capsys):
    """With another number of classes: the classifier starts afresh, the rest stays."""
    run = segmentation.restore(workdir)
    path = tmp_path / "run.safetensors"
    write_run(path, "segmentation", run)
    assert runs.find_system(path) == runs.find_system(workdir) == "segmentation"
    assert segmentation.restore(path).class_names == ("dark", "grey", "bright")
    assert convert.load("segmentation", path)[0] is run.network
    still = dataclasses.replace(
        config.train, num_steps=1, learning_rate=0.0, weight_decay=0.0
    )
    config = dataclasses.replace(config, train=still, init_from=str(path))
    segmentation.train(config, tmp_path / "next")
    after = segmentation.restore(tmp_path / "next")
    jax.tree.map(np.testing.assert_array_equal, after.params, run.params)


def test_a_run_starts_from_a_backbone(workdir, config, tmp_path):
    """A classifier's file: pyramid and head start afresh, at the run's sizes."""
    network = gsanet.build(
        dataclasses.replace(MODEL.gsanet, features_only=False, num_classes=7)
    )
    params, state = network.init(jax.random.key(3))
    path = tmp_path / "classifier.safetensors"
    convert.save(path, params, state, network.config)
    still = dataclasses.replace(
        config.train, num_steps=1, learning_rate=0.0, weight_decay=0.0
    )
    config = dataclasses.replace(config, train=still, init_from=str(path))
    segmentation.train(config, tmp_path / "run")
    found = segmentation.restore(tmp_path / "run").params["backbone"]
    wanted = {name: part for name, part in params.items() if name != "head"}
    jax.tree.map(np.testing.assert_array_equal, found, wanted)


def test_what_is_exported_gives_probabilities_of_each_pixel(workdir):
    run = segmentation.restore(workdir)
    model = open_model(run)
    assert model.inputs["images"].shape == (1, 16, 16, 3)
    images = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
    shares = jax.jit(lambda images: model.forward(images=images))(images)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    whole = (255 * images[0]).round().astype(np.uint8)
    logits = next(segmentation.segment(run, [whole]))
    assert np.mean(shares[0].argmax(-1) == logits.argmax(-1)) > 0.95


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("data", {"std": (0.0,)}, "data.std must be one number, .* above 0"),
        ("train", {"best_metric": "f1"}, "must be one of mean_iou, accuracy; got 'f1'"),
        ("model", {"num_classes": 2}, "classes.txt: must name model.num_classes=2"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(config, tmp_path, part, change, message):
    changed = dataclasses.replace(getattr(config, part), **change)
    with pytest.raises(ValueError, match=message):
        segmentation.train(
            dataclasses.replace(config, **{part: changed}), tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["textured_digits", "textured_digits_resnet"])
def test_every_parameter_is_in_a_layer(name):
    model = segmentation.SETUPS[name].model
    params, _ = semantic_fpn.build(model).shapes()
    numbers = jax.tree.leaves(layer_numbers(params, layers(model)))
    assert max(np.max(number) for number in numbers) >= 3


def test_what_a_run_compiles_is_known_without_its_pictures(config):
    programs = segmentation.programs(config)
    batch, weights = programs.batch(4), programs.network.shapes()
    logits = jax.eval_shape(programs.forward, *weights, batch["inputs"])
    assert logits.shape == (4, 16, 16, 3)
    batch = jax.eval_shape(programs.augment, batch, jax.random.key(0))
    loss, _ = jax.eval_shape(programs.loss, logits, batch["targets"])
    assert loss.shape == ()
