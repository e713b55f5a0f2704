"""The whole journey of GSA-Net on a network small enough to be quick."""

import csv
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from gpsattn_jax.data.images import sets as image_sets
from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.image_classifier.run import score_test_images
from gpsattn_jax.training import checksums
from tests.digits_run import SMALL

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of two steps, gone on to four."""
    path = tmp_path_factory.mktemp("run")
    gsanet.train(SMALL, path)
    return path


def test_evaluation_counts_every_test_image(workdir):
    run = gsanet.restore(workdir)
    measured = score_test_images(run)
    assert run.step == 4 and measured["images"] == 450
    assert 0 <= measured["accuracy"] <= 1 and np.isfinite(measured["loss"])
    assert gsanet.restore(workdir, "best").step in (2, 4)


def test_probabilities_do_not_depend_on_their_batch(workdir):
    run = gsanet.restore(workdir)
    images = image_sets.digits(None)["test"].images[:5]
    together = gsanet.probabilities(run, images)
    alone = np.concatenate([gsanet.probabilities(run, image[None]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(together.sum(-1), 1, rtol=1e-5)


def test_predictions_of_users_files(workdir, tmp_path):
    for place in range(2):
        image = np.random.default_rng(place).integers(0, 255, (20, 30, 3), np.uint8)
        image_library.fromarray(image).save(tmp_path / f"{place}.png")
    run = gsanet.restore(workdir)
    table, tree = tmp_path / "out" / "found.csv", tmp_path / "out" / "found.json"
    found = gsanet.predict(run, tmp_path, table, count=2)
    assert gsanet.predict(run, [tmp_path / "0.png", tmp_path / "1.png"], tree) == found
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [str(tmp_path / f"{i}.png") for i in (0, 1)]
    first = json.loads(tree.read_text())[str(tmp_path / "0.png")]
    assert len(first) == 10 and sum(first.values()) == pytest.approx(1, abs=1e-4)
    (best, share), (second, _), *_ = first.items()
    assert [rows[0]["class_1"], rows[0]["class_2"]] == [best, second]
    assert float(rows[0]["probability_1"]) == pytest.approx(share, abs=1e-4)
    swapped = gsanet.predict(run, tmp_path, invert=True)
    assert swapped != found
    with pytest.raises(ValueError, match=r"must end in .csv or .json; got out.txt"):
        gsanet.predict(run, tmp_path, "out.txt")


def test_report_has_pictures_and_a_page(workdir, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    page = gsanet.report(workdir, tmp_path)
    for name in ("learning.png", "mistakes.png", "attention.png"):
        pixels = np.asarray(image_library.open(tmp_path / name).convert("L"))
        assert min(pixels.shape) > 300 and pixels.std() > 5, name
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 3
    rows = json.loads((tmp_path / "scores.json").read_text())["accuracy"]
    assert f"{100 * rows['k-nearest neighbours']:.2f} %" in text


def test_a_run_from_before_mixers_had_names_is_read_and_goes_on(tmp_path, workdir):
    """Its checkpoints say `attention`, a switch for each group."""
    shutil.copytree(workdir, tmp_path, dirs_exist_ok=True)
    for path in (tmp_path / "checkpoints").glob("*/metadata/metadata"):
        settings = json.loads(path.read_text())
        settings["model"]["attention"] = [True]
        del settings["model"]["mixers"]
        path.write_text(json.dumps(settings))
        checksums.write_checksums(path.parents[1])
    before = gsanet.restore(tmp_path)
    assert before.config.model.mixers == ("gsa",)
    longer = dataclasses.replace(SMALL.train, num_steps=5)
    with pytest.raises(ValueError, match="train.num_steps was 4, is 5"):
        gsanet.train(dataclasses.replace(SMALL, train=longer), tmp_path)
    latest = tmp_path / "checkpoints" / "4"
    shutil.rmtree(latest)
    gsanet.train(SMALL, tmp_path)
    after = gsanet.restore(tmp_path)
    assert after.step == 4
    jax.tree.map(np.testing.assert_array_equal, after.params, before.params)


def test_a_network_without_attention_has_a_report_too(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    plain = dataclasses.replace(SMALL.model, mixers=("conv",))
    gsanet.train(dataclasses.replace(SMALL, model=plain), tmp_path)
    text = gsanet.report(tmp_path).read_text()
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
    with pytest.raises(ValueError, match="best, whole; got 'newest'"):
        gsanet.restore(workdir, "newest")


def test_attention_maps_are_what_the_module_does():
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
