"""Contact sheets, and the report that fills them."""

import dataclasses

import jax
import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images.augment.randaugment import NAMES
from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.systems.image_classifier import augmentation_report
from gpsattn_jax.visualize.contact_sheet import mosaic

SMALL = augmentation_report.Config(
    size=16, draws=2, augment=AugmentConfig(flip=True, crop_scale=(0.5, 1.0))
)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_mosaic_holds_every_picture(channels):
    pictures = np.random.default_rng(0).random((2, 3, 20, 30, channels))
    whole = mosaic(pictures)
    assert whole.shape == (42, 93, 3)
    for row in range(2):
        for column in range(3):
            top, left = 21 * row, 31 * column
            place = whole[top : top + 20, left : left + 30]
            expected = np.broadcast_to(pictures[row, column], (20, 30, 3))
            np.testing.assert_array_equal(place, expected)
    assert np.all(whole[20] == 1) and np.all(whole[:, 30] == 1)


def test_every_operation_has_a_row_that_begins_with_the_original():
    picture = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    rows = augmentation_report.operation_rows(picture)
    assert [name for name, _, _ in rows] == list(NAMES)
    for _, _, images in rows:
        assert images.shape == (11, 16, 16, 3)
        np.testing.assert_array_equal(images[0], picture)


@pytest.mark.slow
def test_every_augmentation_has_a_row_that_changes_the_picture():
    pictures = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    config = dataclasses.replace(SMALL, draws=4)
    rows = augmentation_report.single_rows(config, pictures, jax.random.key(1))
    shown = " ".join(setting for _, setting, _ in rows)
    fields = (
        "crop_scale pad_crop flip degrees zoom shift shear color_jitter "
        "randaugment_ops erase mixup cutmix"
    )
    assert all(field in shown for field in fields.split())
    for name, _, images in rows:
        assert np.any(images[1:] != images[:1]), name


@pytest.mark.slow
def test_the_report_writes_three_sheets(tmp_path):
    files = augmentation_report.report(SMALL, tmp_path / "sheet.png")
    names = ["sheet.png", "sheet_randaugment.png", "sheet_recipe.png"]
    assert [file.name for file in files] == names
    for file in files:
        with Image.open(file) as image:
            assert min(image.size) > 200
