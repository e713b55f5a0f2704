"""The whole journey of GSA-Net on a network small enough to be quick."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.models import gsanet as models
from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier import tables
from gpsattn_jax.training import TrainConfig

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

SMALL = gsanet.Config(
    model=dataclasses.replace(
        models.VARIANTS["8px"], layers=(1,), widths=(8,), attention=(True,)
    ),
    data=gsanet.SETUPS["digits"].data,
    train=TrainConfig(num_steps=4, evaluate_every=2, log_every=1, warmup_steps=1),
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of two steps, gone on to four."""
    path = tmp_path_factory.mktemp("run")
    gsanet.train(SMALL, path)
    return path


def test_evaluation_counts_every_test_image(workdir):
    classifier = gsanet.restore(workdir)
    measured = image_classifier.evaluate(classifier)
    assert classifier.step == 4 and measured["images"] == 450
    assert 0 <= measured["accuracy"] <= 1 and np.isfinite(measured["loss"])
    assert gsanet.restore(workdir, "best").step in (2, 4)


def test_probabilities_do_not_depend_on_their_batch(workdir):
    classifier = gsanet.restore(workdir)
    images = image_sets.digits(None)["test"].images[:5]
    together = classifier.probabilities(images)
    alone = np.concatenate([classifier.probabilities(image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(-1), 1, rtol=1e-5)


def test_predictions_of_users_files(workdir, tmp_path):
    for place in range(2):
        image = np.random.default_rng(place).integers(0, 255, (20, 30, 3), np.uint8)
        image_library.fromarray(image).save(tmp_path / f"{place}.png")
    classifier = gsanet.restore(workdir)
    output = tmp_path / "out" / "found.csv"
    found = tables.predict(classifier, tmp_path, output, count=2)
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(tmp_path / f"{i}.png") for i in (0, 1)]
    assert rows[0]["class_1"] == next(iter(found[rows[0]["file"]]))
    assert float(rows[0]["probability_1"]) >= float(rows[0]["probability_2"])
    swapped = tables.predict(classifier, tmp_path, invert=True)
    first = rows[0]["file"]
    assert swapped[first].values() != found[first].values()
    assert len(found[first]) == 2 and len(swapped[first]) == 3


def test_report_has_pictures_and_a_page(workdir, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    from gpsattn_jax.systems.gsanet import report as gsanet_report

    page = gsanet_report.report(workdir, tmp_path)
    for name in ("learning.png", "mistakes.png", "attention.png"):
        pixels = np.asarray(image_library.open(tmp_path / name).convert("L"))
        assert min(pixels.shape) > 300 and pixels.std() > 5, name
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 3
    rows = json.loads((tmp_path / "scores.json").read_text())["accuracy"]
    assert f"{100 * rows['k-nearest neighbours']:.2f} %" in text


def test_a_network_without_attention_has_a_report_too(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    from gpsattn_jax.systems.gsanet import report as gsanet_report

    plain = dataclasses.replace(SMALL.model, attention=(False,))
    gsanet.train(dataclasses.replace(SMALL, model=plain), tmp_path)
    text = gsanet_report.report(tmp_path).read_text()
    assert text.count("data:image/png;base64,") == 2 and "ResNet (ours)" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"num_classes": 9},
            "model.num_classes must be 10 for data.name=digits; got 9",
        ),
        ({"in_channels": 3}, "model.in_channels must be 1"),
        ({"image_size": 9}, "model.image_size must be 8"),
    ],
)
def test_config_that_does_not_fit_the_data_is_refused(tmp_path, change, message):
    model = dataclasses.replace(SMALL.model, **change)
    with pytest.raises(ValueError, match=message):
        gsanet.train(dataclasses.replace(SMALL, model=model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("data", {"mean": (0.1, 0.2)}, "data.mean must be one number, or one for each"),
        ("data", {"std": (0.0,)}, "data.std must be .* above 0; got"),
        ("train", {"best_metric": "f1"}, "must be one of accuracy; got 'f1'"),
    ],
)
def test_other_fields_that_do_not_fit_are_refused(tmp_path, part, change, message):
    changed = dataclasses.replace(getattr(SMALL, part), **change)
    with pytest.raises(ValueError, match=message):
        gsanet.train(dataclasses.replace(SMALL, **{part: changed}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_choice_lists_the_choices(workdir):
    with pytest.raises(ValueError, match="one of latest, best; got 'newest'"):
        gsanet.restore(workdir, "newest")


def test_attention_maps_tell_what_the_module_does():
    """Weights times values, summed over all pixels, are the module's own output."""
    import jax
    from flax import nnx

    from gpsattn_jax.modules import GlobalSelfAttention, attention_maps

    module = GlobalSelfAttention(
        6, num_heads=2, window=3, norm="none", balanced=False, rngs=nnx.Rngs(0)
    )
    x = jax.random.normal(jax.random.key(1), (2, 5, 4, 6))
    maps = attention_maps(module, x, 3, 1)
    weights = maps["content"] + maps["position"]
    expected = np.einsum("bnhw,bhwne->bne", weights, module.value(x)).reshape(2, -1)
    np.testing.assert_allclose(module(x)[:, 3, 1], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        maps["position"][..., 1], maps["column"] * maps["row"][..., 1:2], rtol=1e-5
    )
