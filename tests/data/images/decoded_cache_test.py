"""Images decoded once: the same pixels, made anew when stale, never half used."""

import dataclasses
import pickle
import threading

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.images import decoded_cache as cache
from gpsattn_jax.data.images.class_folders import read_folder
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.images.decoded_cache import with_decoded_cache
from gpsattn_jax.files import cache_folder


@pytest.fixture
def images(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (8, 24, 24, 3), np.uint8)
    for number, value in enumerate(values):
        path = tmp_path / "images" / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(value).save(path)
    return read_folder(tmp_path / "images", Crop(size=21, share=0.875))["train"]


def pixels(source, seeds=None):
    return source.batch(np.arange(len(source)), seeds)["inputs"]["images"]


def times_made(monkeypatch):
    made, make = [], cache._make
    monkeypatch.setattr(
        cache, "_make", lambda path, *rest: made.append(path) or make(path, *rest)
    )
    return made


def test_cached_images_are_the_images(images, tmp_path, monkeypatch):
    made = times_made(monkeypatch)
    fast = with_decoded_cache(images, tmp_path / "cache")
    # Here images are as large as the cache's, so that nothing is lost.
    np.testing.assert_array_equal(pixels(fast), pixels(images))
    seeds = np.arange(8)
    np.testing.assert_array_equal(pixels(fast, seeds), pixels(images, seeds))
    np.testing.assert_array_equal(fast.labels, images.labels)
    again = with_decoded_cache(images, tmp_path / "cache")
    copy = pickle.loads(pickle.dumps(again))
    np.testing.assert_array_equal(pixels(copy), pixels(images))
    part = fast.take(np.array([6, 2])).take(np.array([1]))
    np.testing.assert_array_equal(pixels(part)[0], pixels(images)[2])
    assert len(made) == 1 and made[0].stat().st_size > 8 * 24 * 24 * 3
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [made[0].name]


def test_stale_and_other_caches_are_made_anew(images, tmp_path, monkeypatch):
    made = times_made(monkeypatch)
    with_decoded_cache(images, tmp_path / "cache")
    small = dataclasses.replace(images.crop, size=16, share=1.0)
    with_decoded_cache(dataclasses.replace(images, crop=small), tmp_path / "cache")
    with_decoded_cache(images.take(np.arange(5)), tmp_path / "cache")
    assert len(set(made)) == 3
    Image.new("RGB", (24, 24), "red").save(images.store.name(0))
    fast = with_decoded_cache(images, tmp_path / "cache")
    assert len(set(made)) == 4 and (pixels(fast)[0] == (255, 0, 0)).all()


def test_interrupted_caches_leave_nothing_and_cut_ones_are_made_again(
    images, tmp_path, monkeypatch
):
    folder = tmp_path / "cache"
    with monkeypatch.context() as context:
        context.setattr(cache, "with_progress", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            with_decoded_cache(images, folder)
    assert list(folder.iterdir()) == []
    with_decoded_cache(images, folder)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:1000])
    np.testing.assert_array_equal(
        pixels(with_decoded_cache(images, folder)), pixels(images)
    )


def test_several_at_once_do_not_spoil_it(images, tmp_path):
    found = [None] * 4

    def work(number):
        found[number] = pixels(with_decoded_cache(images, tmp_path / "cache"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in found:
        np.testing.assert_array_equal(each, pixels(images))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_bad_file_is_named_and_no_cache_is_left(images, tmp_path):
    with open(images.store.name(3), "wb"):
        pass
    with pytest.raises(ValueError, match=r"7.png|3.png|6.png.*the file is empty"):
        with_decoded_cache(images, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("GPSATTN_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "gpsattn_jax"
