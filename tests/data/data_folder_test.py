"""The folder of data sets: named by the call, by the environment, or by nobody."""

import pathlib

import pytest

from gpsattn_jax.data.data_folder import data_folder


@pytest.mark.parametrize(
    ("named", "environment", "found"),
    [
        ("a", "b", "a"),
        (None, "b", "b"),
        (pathlib.Path("a"), "", "a"),
        (".", "b", "."),
        (None, "", None),
        ("", "b", None),
    ],
)
def test_the_call_comes_before_the_environment(monkeypatch, named, environment, found):
    monkeypatch.setenv("GPSATTN_DATA_DIR", environment)
    assert data_folder(named) == (None if found is None else pathlib.Path(found))
