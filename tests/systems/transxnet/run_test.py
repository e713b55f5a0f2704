"""TransXNet's journey on a tiny network: train, resume, evaluate, fine-tune, report."""

import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert.files import flatten
from gpsattn_jax.convert.transxnet import to_torch
from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.data.images.sources import ImageSet
from gpsattn_jax.models import transxnet as models
from gpsattn_jax.models.transxnet.views import viewer
from gpsattn_jax.stacks import block_names, by_name, unstack
from gpsattn_jax.systems import gsanet, transxnet
from gpsattn_jax.systems.image_classifier.run import score_test_images
from gpsattn_jax.systems.transxnet.run import fit_positions
from gpsattn_jax.training import TrainConfig
from gpsattn_jax.training.optimizers import (
    decay_mask,
    layer_numbers,
    learning_rate_schedule,
)

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")

TINY = models.Config(
    depths=(1,),
    widths=(16,),
    num_heads=(2,),
    num_groups=(2,),
    kernel_sizes=(3,),
    reductions=(2,),
    mlp_ratios=(2,),
    remat=(False,),
    image_size=8,
    in_channels=1,
    num_classes=10,
)
SMALL = transxnet.Config(
    model=TINY,
    train=TrainConfig(
        num_steps=4, batch_size=8, evaluate_every=2, warmup_steps=1, ema_decay=0.9
    ),
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of four steps on the digits."""
    path = tmp_path_factory.mktemp("run")
    transxnet.train(SMALL, path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes of 8 pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for number, name in enumerate(("dark", "light")):
        (folder / name).mkdir()
        for picture in range(8):
            pixels = np.clip(draw.normal(60 + 120 * number, 20, (20, 24, 3)), 0, 255)
            image = image_library.fromarray(pixels.astype(np.uint8))
            image.save(folder / name / f"{picture}.png")
    return folder


def weights(run):
    return flatten({"params": run.params, "state": run.state})


def test_a_resumed_run_ends_with_the_same_bits(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/4")
    transxnet.train(SMALL, tmp_path / "run")
    straight, resumed = transxnet.restore(workdir), transxnet.restore(tmp_path / "run")
    assert straight.step == resumed.step == 4
    for name, array in weights(straight).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


def test_evaluation_and_the_averaged_weights(workdir, capsys):
    run = transxnet.restore(workdir, "best")
    measured = score_test_images(run)
    assert measured["images"] == 450 and np.isfinite(measured["loss"])
    transxnet.evaluate(workdir)
    printed = capsys.readouterr().out
    assert "TransXNet (ours), averaged weights" in printed and "k-nearest" in printed


def test_predictions_of_users_files(workdir, pictures, tmp_path):
    run = transxnet.restore(workdir)
    output = tmp_path / "found.csv"
    found = transxnet.predict(run, pictures, output, count=2)
    assert len(found) == 16 and output.read_text().count("\n") == 17


def test_report_has_pictures_and_a_page(workdir, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    page = transxnet.report(workdir, tmp_path)
    names = ("learning", "mistakes", "dynamic_kernels", "attention", "evidence")
    for name in names:
        pixels = np.asarray(image_library.open(tmp_path / f"{name}.png").convert("L"))
        assert min(pixels.shape) > 300 and pixels.std() > 5, name
    assert page.read_text().count("data:image/png;base64,") == len(names)
    scores = json.loads((tmp_path / "scores.json").read_text())["accuracy"]
    assert 0 <= scores["TransXNet (ours)"] <= 1


def test_half_of_the_images_to_look_at_are_mistakes():
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    from gpsattn_jax.systems.image_classifier.page import images_to_show

    labels = np.arange(40, dtype=np.int32) % 4
    images = ImageSet(np.zeros((40, 8, 8, 1), np.float32), labels, tuple("abcd"))
    for wrong, expected in ((10, 2), (1, 1), (0, 0), (39, 3), (40, 4)):
        predicted = np.where(np.arange(40) < wrong, (labels + 1) % 4, labels)
        places, pixels, titles = images_to_show(images, np.eye(4)[predicted], 4)
        mistaken = (predicted != labels)[places]
        assert mistaken.sum() == expected and mistaken[:expected].all()
        assert len(set(places)) == 4 and pixels.shape == (4, 8, 8, 1)
        assert [("taken for" in title) for title in titles] == list(mistaken)
        if expected == 2:
            assert (
                len(set(predicted[places[:2]])) == len(set(predicted[places[2:]])) == 2
            )


def tuned(pictures, **changes):
    """A run on the pictures, which are larger than the digits."""
    return transxnet.Config(
        model=dataclasses.replace(
            TINY, num_classes=2, image_size=16, table_resize="grid"
        ),
        data=DataConfig(
            name="folder", folder=str(pictures), validation_images=4, mean=(0.5,)
        ),
        augment=AugmentConfig(crop_scale=(0.5, 1.0), flip=True, mixup=0.2),
        train=TrainConfig(
            num_steps=1,
            batch_size=4,
            evaluate_every=1,
            warmup_steps=0,
            frozen=("stem",),
            layer_decay=0.7,
        ),
        **changes,
    )


def test_a_run_starts_another_one_on_larger_pictures(
    workdir, pictures, tmp_path, capsys
):
    transxnet.train(tuned(pictures, init_from=str(workdir)), tmp_path)
    printed = capsys.readouterr().out
    assert "params/head/kernel (16, 10) starts afresh as (16, 2)." in printed
    assert "params/stages/0/position (2, 4, 1) resized to (2, 16, 4)." in printed
    before, after = transxnet.restore(workdir), transxnet.restore(tmp_path)
    np.testing.assert_array_equal(
        before.params["stem"]["conv"]["kernel"], after.params["stem"]["conv"]["kernel"]
    )
    assert after.class_names == ("dark", "light")


@pytest.mark.parametrize("resize", models.RESIZES)
def test_position_tables_are_resized_as_the_network_would(resize):
    config = dataclasses.replace(TINY, image_size=32, table_resize=resize)
    table = jax.random.normal(jax.random.key(0), (2, 64, 16))
    larger = models.resize_tables(config, {"stages": {0: {"position": table}}}, 48)
    expected = larger["stages"][0]["position"]
    fit = fit_positions(dataclasses.replace(config, image_size=48))
    found, done = fit("params/stages/0/position", np.asarray(table), expected.shape)
    np.testing.assert_array_equal(found, expected)
    assert done == "resized"
    other_heads = (3, *expected.shape[1:])
    assert fit("params/stages/0/position", np.asarray(table), other_heads) is None
    assert fit("params/head/kernel", np.zeros((4, 9)), (4, 16)) is None


def test_official_weights_start_a_run(workdir, pictures, tmp_path, capsys):
    found = transxnet.restore(workdir)
    official = to_torch(found.config.model, found.params, found.state)
    np.savez(tmp_path / "official.npz", **official)
    config = tuned(pictures, init_from=str(tmp_path / "official.npz"))
    transxnet.train(config, tmp_path / "run")
    assert "position (2, 4, 1) resized to (2, 16, 4)." in capsys.readouterr().out
    after = transxnet.restore(tmp_path / "run")
    np.testing.assert_array_equal(
        found.params["stem"]["conv"]["kernel"], after.params["stem"]["conv"]["kernel"]
    )


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        ("nothing.safetensors", FileNotFoundError, "nothing.safetensors: no such"),
        ("gsanet.safetensors", ValueError, "layers"),
        ("wider.safetensors", ValueError, "misshapen: params/"),
    ],
)
def test_weights_that_do_not_fit_are_refused(pictures, tmp_path, start, error, message):
    other = dataclasses.replace(
        gsanet.SETUPS["digits"].model, layers=(1,), widths=(8,), mixers=("gsa",)
    )
    wider = dataclasses.replace(TINY, widths=(24,))
    for name, system, model in (
        ("gsanet", gsanet.SYSTEM, other),
        ("wider", transxnet.SYSTEM, wider),
    ):
        shapes = system.build(model).shapes()
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        convert.save(tmp_path / f"{name}.safetensors", *zeros, model)
    config = tuned(pictures, init_from=str(tmp_path / start))
    with pytest.raises(error, match=message):
        transxnet.train(config, tmp_path / "run")


def test_images_below_the_stride_and_another_system_are_refused(workdir):
    with pytest.raises(ValueError, match="image_size must be at least 32, the network"):
        models.Config(image_size=31)
    with pytest.raises(ValueError, match="must be a run of gsanet; got transxnet"):
        gsanet.restore(workdir)


@functools.cache
def shapes_of(name):
    """The parameters' shapes of a setup's network."""
    return transxnet.SYSTEM.build(transxnet.SETUPS[name].model).shapes()[0]


def test_decay_spares_what_the_recipe_spares():
    """Vectors and biases alone: not tables, dynamic kernels or layer scales."""
    params = shapes_of("imagenet")
    masks = by_name(decay_mask(params, transxnet.SETUPS["imagenet"].train.decayed))
    found = {b: masks[n] for n in masks for b in block_names(n) or [n]}
    shapes = {name: leaf.shape for name, leaf in flatten(params).items()}
    for name, decays in found.items():
        assert decays == (len(shapes[name]) > 1 and not name.endswith("/bias")), name
    block = "stages/2/blocks/8"
    assert found["stages/2/position"]
    assert found[f"{block}/mixer/local/kernels"]
    assert found[f"{block}/mixer_scale/factor"]
    assert len(shapes[f"{block}/mixer/local/bias"]) == 2
    assert not found[f"{block}/mixer/local/bias"]
    assert not found[f"{block}/mixer_scale/bias"]
    assert not found[f"{block}/mixer_norm/scale"]


@pytest.mark.parametrize("name", ["cifar100", "imagenet"])
def test_every_parameter_has_a_layer(name):
    config = transxnet.SETUPS[name].model
    numbers = layer_numbers(shapes_of(name), transxnet.SYSTEM.layers)
    by_path = flatten(numbers)
    last = sum(config.depths) + 1
    assert set(by_path.values()) == set(range(last + 1))
    assert by_path["head/kernel"] == by_path["norm/scale"] == last
    assert by_path["stem/conv/kernel"] == 0
    # What a stage begins with learns with its first block.
    first = config.depths[0] + 1
    assert by_path["downsamples/0/conv/kernel"] == first
    assert by_path["stages/1/position"] == first
    numbers = unstack(numbers)
    assert set(jax.tree.leaves(numbers["stages"][1]["blocks"][0])) == {first}


@pytest.mark.parametrize(
    ("name", "variant", "drop_path", "ema", "crop"),
    [
        ("imagenet", "tiny", 0.1, 0.9998, 0.9),
        ("imagenet_small", "small", 0.2, 0.9998, 0.9),
        ("imagenet_base", "base", 0.4, 0.99985, 0.95),
    ],
)
def test_imagenet_setups_are_the_published_recipe(name, variant, drop_path, ema, crop):
    config = transxnet.SETUPS[name]
    train, augment, data = config.train, config.augment, config.data
    assert config.model == models.VARIANTS[variant]
    assert config.model.drop_path == drop_path and config.model.image_size == 224
    assert (train.optimizer, train.batch_size, train.beta2) == ("adamw", 1024, 0.999)
    assert (train.weight_decay, train.decayed) == (0.05, "matrices")
    assert (train.clip_norm, train.label_smoothing) == (0, 0.1)
    assert (train.ema_decay, train.best_metric) == (ema, "ema/accuracy")
    assert train.precision == "bfloat16" and config.init_from == ""
    epoch = (1_281_167 - data.validation_images) / train.batch_size
    epochs = (train.warmup_steps, train.cooldown_steps, train.num_steps)
    np.testing.assert_allclose([n / epoch for n in epochs], [5, 10, 310], rtol=1e-3)
    assert (augment.crop_scale, augment.crop_ratio) == ((0.08, 1.0), (3 / 4, 4 / 3))
    assert augment.flip
    assert (augment.randaugment_ops, augment.randaugment_magnitude) == (2, 9)
    assert (augment.randaugment_std, augment.randaugment_increasing) == (0.5, True)
    assert augment.color_jitter == (0, 0, 0, 0)  # timm: not beside RandAugment
    assert (augment.erase, augment.erase_mode) == (0.25, "noise")
    assert (augment.mixup, augment.cutmix) == (0.8, 1.0)
    assert (augment.mix_probability, augment.switch_probability) == (1.0, 0.5)
    assert data.crop_share == crop
    assert data.mean == (0.485, 0.456, 0.406) and data.std == (0.229, 0.224, 0.225)


def test_the_published_schedule():
    train = transxnet.SETUPS["imagenet"].train
    rate = learning_rate_schedule(train)
    end = train.num_steps - train.cooldown_steps
    middle = (train.warmup_steps + end) // 2
    found = [float(rate(s)) for s in (0, train.warmup_steps, middle, end, end + 9_999)]
    np.testing.assert_allclose(found, [1e-6, 2e-3, 1.005e-3, 1e-5, 1e-5], rtol=1e-3)


def test_views_are_what_the_network_does(workdir):
    run = transxnet.restore(workdir)
    config = dataclasses.replace(TINY, remat=(True,))
    params, state = run.params, run.state
    images = jax.random.normal(jax.random.key(1), (2, 12, 16, 1))
    views = viewer(config)(params, state, images)
    logits, _ = jax.jit(run.network.apply)(params, state, images)
    np.testing.assert_allclose(views.logits, logits, atol=1e-5)
    np.testing.assert_allclose(views.evidence.mean((1, 2)), logits, atol=1e-5)
    assert [kernel.shape for kernel in views.kernels] == [(2, 3, 3, 8)]
    assert [weights.shape for weights in views.attention] == [(2, 2, 3, 4, 2, 2)]
    np.testing.assert_allclose(views.attention[0].sum((-1, -2)), 1, rtol=1e-5)
    # The kernels are the image's own.
    assert np.abs(views.kernels[0][0] - views.kernels[0][1]).max() > 0
    with pytest.raises(ValueError, match="features_only must be False"):
        viewer(dataclasses.replace(config, features_only=True))
