"""The rooms of data show what they offer, and say so."""

import importlib

import pytest

ROOMS = ("data", "data.files", "data.images", "data.images.augment")


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_offers_what_its_first_lines_describe(room):
    face = importlib.import_module(f"gpsattn_jax.{room}")
    assert len(face.__all__) == len(set(face.__all__)) > 2
    for name in face.__all__:
        if name != "Batch":  # the type of one
            assert getattr(face, name).__doc__, name
            assert f"`{name}`" in face.__doc__, name
