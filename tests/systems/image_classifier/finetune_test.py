"""From a trained run to a user's own pictures: new head, slower layers, frozen stem."""

import dataclasses

import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.models import gsanet as models
from gpsattn_jax.stacks import unstack
from gpsattn_jax.systems import gsanet, image_classifier
from gpsattn_jax.systems.image_classifier.run import score_test_images
from gpsattn_jax.training import TrainConfig

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

DIGITS = gsanet.Config(
    model=dataclasses.replace(
        models.VARIANTS["8px"], layers=(1,), widths=(8,), mixers=("gsa",)
    ),
    train=TrainConfig(num_steps=1, batch_size=8, evaluate_every=1, ema_decay=0.9),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One step on the digits."""
    workdir = tmp_path_factory.mktemp("digits")
    gsanet.train(DIGITS, workdir)
    return workdir


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of 12 pictures, of several sizes and modes."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number, name in enumerate(("dark", "grey", "light")):
        for picture in range(12):
            shape = (int(draw.integers(10, 30)), int(draw.integers(10, 30)), 3)
            pixels = np.clip(draw.normal(60 + 70 * number, 20, shape), 0, 255)
            path = folder / name / f"{picture}.png"
            path.parent.mkdir(exist_ok=True)
            image = image_library.fromarray(pixels.astype(np.uint8))
            (image.convert("L") if picture % 2 else image).save(path)
    return folder


def tuned(pictures, **changes):
    """The run on the pictures."""
    return gsanet.Config(
        model=dataclasses.replace(DIGITS.model, num_classes=3, image_size=12),
        data=DataConfig(
            name="folder", folder=str(pictures), validation_images=6, mean=(0.5,)
        ),
        augment=AugmentConfig(crop_scale=(0.5, 1.0), flip=True, mixup=0.2),
        train=TrainConfig(
            num_steps=2,
            batch_size=8,
            evaluate_every=2,
            warmup_steps=0,
            frozen=("stem",),
            layer_decay=0.7,
        ),
        **changes,
    )


def test_a_run_starts_another_one_on_own_pictures(trained, pictures, tmp_path, capsys):
    config = tuned(pictures, init_from=str(trained))
    gsanet.train(config, tmp_path)
    printed = capsys.readouterr().out
    assert "params/head/kernel (16, 10) starts afresh as (16, 3)." in printed
    assert "column_table (15, 2) cut or filled to (23, 2)." in printed
    before, after = gsanet.restore(trained), gsanet.restore(tmp_path)
    same = before.params["stem"]["kernel"]
    np.testing.assert_array_equal(same, after.params["stem"]["kernel"])
    np.testing.assert_array_equal(
        before.state["stem_norm"]["mean"], after.state["stem_norm"]["mean"]
    )
    blocks = (unstack(run.params)["blocks"][0] for run in (before, after))
    assert not np.array_equal(*(block["expand"]["kernel"] for block in blocks))
    assert after.class_names == ("dark", "grey", "light")
    measured = score_test_images(after)
    assert measured["images"] == 6  # as many are held out to test as to validate


def test_a_file_of_weights_starts_a_run(trained, pictures, tmp_path):
    found = gsanet.restore(trained)
    path = tmp_path / "weights.safetensors"
    convert.save(path, found.params, found.state, found.config.model)
    gsanet.train(tuned(pictures, init_from=str(path)), tmp_path / "run")
    after = gsanet.restore(tmp_path / "run")
    np.testing.assert_array_equal(
        found.params["stem"]["kernel"], after.params["stem"]["kernel"]
    )


def test_weights_without_a_head_start_a_run(trained, pictures, tmp_path, capsys):
    found = gsanet.restore(trained)
    model = dataclasses.replace(found.config.model, num_classes=0)
    params = {part: found.params[part] for part in found.params if part != "head"}
    path = tmp_path / "weights.safetensors"
    convert.save(path, params, found.state, model)
    gsanet.train(tuned(pictures, init_from=str(path)), tmp_path / "run")
    assert (
        "params/head/kernel is not there and starts afresh" in capsys.readouterr().out
    )


@pytest.mark.parametrize("kind", ["run", "file"])
def test_a_misfit_names_the_flags_that_would_fit(trained, pictures, tmp_path, kind):
    found, start = gsanet.restore(trained), trained
    if kind == "file":
        start = tmp_path / "weights.safetensors"
        convert.save(start, found.params, found.state, found.config.model)
    config = tuned(pictures, init_from=str(start))
    heads = 2 * config.model.num_heads
    widths = tuple(2 * width for width in config.model.widths)
    model = dataclasses.replace(config.model, widths=widths, num_heads=heads)
    config = dataclasses.replace(config, model=model)
    wanted = ",".join(map(str, found.config.model.widths))
    message = rf"these flags would fit: --model\.widths={wanted} --model\.num_heads="
    with pytest.raises(convert.ConversionError, match=message):
        gsanet.train(config, tmp_path / "run")


def test_averaged_weights_are_restored_and_others_refused(trained, pictures, tmp_path):
    plain, averaged = (gsanet.restore(trained, averaged=flag) for flag in (False, True))
    assert not np.array_equal(
        plain.params["head"]["kernel"], averaged.params["head"]["kernel"]
    )
    gsanet.train(tuned(pictures), tmp_path)
    with pytest.raises(ValueError, match="kept no averages"):
        gsanet.restore(tmp_path, averaged=True)


@pytest.mark.parametrize("choice", ["latest", "best", "averaged"])
def test_a_run_s_weights_are_chosen(trained, pictures, tmp_path, choice):
    """The stem is frozen, so that it stays as it came."""
    config = tuned(pictures, init_from=f"{trained}:{choice}")
    gsanet.train(config, tmp_path)
    options = {"best": {"choose": "best"}, "averaged": {"averaged": True}}
    found = gsanet.restore(trained, **options.get(choice, {}))
    np.testing.assert_array_equal(
        found.params["stem"]["kernel"],
        gsanet.restore(tmp_path).params["stem"]["kernel"],
    )


def test_a_run_of_another_system_is_refused(trained):
    other = dataclasses.replace(gsanet.SYSTEM, name="transxnet")
    with pytest.raises(ValueError, match="must be a run of transxnet; got gsanet"):
        image_classifier.restore(other, trained)


def test_weights_that_are_not_there_are_named(pictures, tmp_path):
    config = tuned(pictures, init_from=str(tmp_path / "nothing.safetensors"))
    with pytest.raises(FileNotFoundError, match="nothing.safetensors"):
        gsanet.train(config, tmp_path / "run")
