"""Prediction is evaluation: the same probabilities, streamed, bad files or not."""

import csv
import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.models import gsanet as models
from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.image_classifier import run as image_classifier
from gpsattn_jax.systems.image_classifier.prediction import picture_stream, predict
from gpsattn_jax.training import TrainConfig

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
image_library = pytest.importorskip("PIL.Image", reason="needs Pillow (extra: data)")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Class folders in parts, sizes all different, so that the crop's share counts."""
    root = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for part, each in (("train", 6), ("val", 4), ("test", 5)):
        for number, name in enumerate(("dark", "light")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for picture in range(each):
                shape = (int(draw.integers(14, 40)), int(draw.integers(14, 40)), 3)
                pixels = np.clip(draw.normal(80 + 90 * number, 30, shape), 0, 255)
                image = image_library.fromarray(pixels.astype(np.uint8))
                image.save(folder / f"{picture}.png")
    return root


@pytest.fixture(scope="module")
def workdir(pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    gsanet.train(config_of(pictures), path)
    return path


def config_of(pictures):
    return gsanet.Config(
        model=dataclasses.replace(
            models.VARIANTS["8px"],
            layers=(1,),
            widths=(8,),
            mixers=("gsa",),
            num_classes=2,
            in_channels=3,
            image_size=12,
        ),
        data=DataConfig(
            name="folder", folder=str(pictures), crop_share=0.6, mean=(0.5,)
        ),
        augment=AugmentConfig(crop_scale=(0.5, 1.0)),
        train=TrainConfig(num_steps=1, batch_size=4, evaluate_every=1),
    )


def test_training_says_first_what_it_found(pictures, tmp_path, capsys):
    gsanet.train(config_of(pictures), tmp_path)
    text = capsys.readouterr().err
    assert text.startswith("data.name=folder: 2 classes:\n  train ")
    assert "12 pictures   dark 6, light 6" in text
    assert text.index("validation") < text.index("step 1/1")


def test_prediction_gives_the_probabilities_of_evaluation(workdir, pictures):
    run = gsanet.restore(workdir)
    test = image_classifier.test_images(run.config, run.class_names)
    expected = gsanet.probabilities(run, test)
    files = [test.store.name(place) for place in range(len(test))]
    found = np.stack([p.probabilities for p in picture_stream(run, files)])
    np.testing.assert_array_equal(found, expected)
    measured = image_classifier.score_test_images(run)
    assert measured["accuracy"] == (found.argmax(-1) == test.labels).mean()


def test_images_held_out_of_others_now_are_no_test(pictures, tmp_path):
    """One picture more: of today's test images some may have been trained on."""
    folder = shutil.copytree(pictures / "train", tmp_path / "pictures")
    config = config_of(folder)
    data = dataclasses.replace(config.data, validation_images=2)
    gsanet.train(dataclasses.replace(config, data=data), tmp_path / "run")
    run = gsanet.restore(tmp_path / "run")
    assert run.examples == 8
    assert image_classifier.score_test_images(run)["images"] == 2
    shutil.copy(folder / "dark" / "0.png", folder / "dark" / "00.png")
    image_classifier._loaded.cache_clear()
    for score in (gsanet.evaluate, gsanet.report):
        with pytest.raises(
            ValueError, match=r"had 8 images to train .* are 9 now\. .*"
        ):
            score(tmp_path / "run", with_baselines=False)


def spoil(folder, pictures):
    folder.mkdir()
    for name in ("a", "c"):
        content = (pictures / "test" / "dark" / "0.png").read_bytes()
        (folder / f"{name}.png").write_bytes(content)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / ".hidden.png").write_bytes(b"no picture")
    os.mkfifo(folder / "pipe.png")
    return folder


def test_a_bad_file_has_a_row_and_the_others_their_classes(workdir, pictures, tmp_path):
    run, folder = gsanet.restore(workdir), spoil(tmp_path / "mixed", pictures)
    with pytest.raises(ValueError, match="b.png: not a readable image"):
        predict(run, folder)
    output = tmp_path / "out" / "found.csv"
    found = predict(run, folder, output, skip_bad=True, count=0)
    assert list(found) == [str(folder / "a.png"), str(folder / "c.png")]
    with output.open() as file:
        rows = list(csv.DictReader(file))
    assert [os.path.basename(row["file"]) for row in rows] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert "b.png: not a readable image" in rows[1]["problem"]
    assert rows[1]["class_1"] == "" and rows[0]["problem"] == ""
    total = sum(float(rows[0][f"probability_{rank}"]) for rank in (1, 2))
    assert total == pytest.approx(1, abs=2e-4)
    predict(run, folder, tmp_path / "found.json", skip_bad=True)
    tree = json.loads((tmp_path / "found.json").read_text())
    assert "not a readable" in tree[str(folder / "b.png")]["problem"]
    assert set(tree[str(folder / "a.png")]) == {"dark", "light"}
    with pytest.raises(ValueError, match="None of the 1 files is a readable image"):
        predict(run, folder / "b.png", skip_bad=True)


def test_rows_are_written_as_they_come(workdir, pictures, tmp_path, monkeypatch):
    from gpsattn_jax.systems.image_classifier import prediction

    run = gsanet.restore(workdir)
    folder, output = spoil(tmp_path / "mixed", pictures), tmp_path / "rows.csv"
    monkeypatch.setattr(prediction, "batch_size", lambda count, placement: 1)
    with pytest.raises(ValueError, match="b.png"):
        predict(run, folder, output)
    assert len(output.read_text().splitlines()) == 2  # the head and a.png


def test_features_are_what_the_head_takes(workdir, pictures, tmp_path):
    run = gsanet.restore(workdir)
    path = tmp_path / "features.npz"
    predict(run, pictures / "test", features=path)
    with np.load(path) as stored:
        files, features = stored["files"], stored["features"]
    assert len(files) == 10 and features.shape == (
        10,
        run.params["head"]["kernel"].shape[0],
    )
    kernel, bias = (np.asarray(run.params["head"][n]) for n in ("kernel", "bias"))
    logits = features @ kernel + bias
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.stack([p.probabilities for p in picture_stream(run, files.tolist())])
    np.testing.assert_allclose(shares, expected, atol=1e-5)


def test_changed_folders_are_refused_and_others_can_be_scored(
    workdir, pictures, tmp_path, monkeypatch
):
    run = gsanet.restore(workdir)
    new = tmp_path / "new" / "light"
    new.mkdir(parents=True)
    content = (pictures / "test" / "light" / "1.png").read_bytes()
    (new / "x.png").write_bytes(content)
    measured = image_classifier.score_test_images(run, folder=tmp_path / "new")
    assert measured["images"] == 1 and 0 <= measured["accuracy"] <= 1
    image_classifier._loaded.cache_clear()
    for part in ("train", "val", "test"):
        (pictures / part / "light").rename(pictures / part / "bright")
    try:
        with pytest.raises(
            ValueError, match="light went and bright came.*--data.folder"
        ):
            image_classifier.score_test_images(run)
    finally:
        for part in ("train", "val", "test"):
            (pictures / part / "bright").rename(pictures / part / "light")
        image_classifier._loaded.cache_clear()


def test_a_wrong_number_of_classes_names_the_classes(pictures, tmp_path):
    config = config_of(pictures)
    model = dataclasses.replace(config.model, num_classes=7)
    with pytest.raises(ValueError, match="num_classes must be 2 .*: dark, light"):
        gsanet.train(dataclasses.replace(config, model=model), tmp_path)


def test_a_file_whose_name_is_no_text_has_its_row(workdir, pictures, tmp_path):
    """The CSV has the name's own bytes, so that the file is found by it."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    name = os.fsencode(folder) + b"/caf\xe9.png"
    with open(name, "wb") as file:
        file.write((pictures / "test" / "dark" / "0.png").read_bytes())
    run, output = gsanet.restore(workdir), tmp_path / "found.csv"
    assert len(predict(run, folder, output)) == 1
    assert output.read_bytes().splitlines()[1].startswith(name + b",")
    predict(run, folder, tmp_path / "found.json")
    assert list(json.loads((tmp_path / "found.json").read_text())) == [
        os.fsdecode(name)
    ]
