"""Baselines are kept in a workdir until what they are made of changes."""

import dataclasses
import json
import math

import numpy as np
import pytest

from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.baseline_rows import FILE, content_mark, kept_rows
from gpsattn_jax.systems.image_classifier import tables


def compute_counted(rows):
    """(a function that gives the rows, the list of its calls)."""
    calls = []

    def compute():
        calls.append(1)
        return rows

    return compute, calls


def test_rows_are_computed_once_and_said_once(tmp_path, capsys):
    rows = {"random": {"f": 1 / 3, "tau": math.nan}}
    compute, calls = compute_counted(rows)
    first = kept_rows(tmp_path, "a", compute, "chance")
    assert "Baselines: chance" in (said := capsys.readouterr().err)
    assert "--nobaselines" in said
    again = kept_rows(tmp_path, "a", compute, "chance")
    assert not capsys.readouterr().err
    assert len(calls) == 1 and first["random"]["f"] == again["random"]["f"] == 1 / 3
    assert math.isnan(again["random"]["tau"])
    kept_rows(tmp_path, "b", compute, "chance")
    assert len(calls) == 2
    kept_rows(tmp_path, "a", compute, "chance")  # both are kept
    assert len(calls) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.25", "0.75"),
        lambda text: "[" * 100_000,
        lambda text: "[1]",
        lambda text: '{"a": 3}',
        lambda text: '{"a": {"rows": [], "sum": 3}}',
    ],
)
def test_a_damaged_file_counts_as_none(tmp_path, damage):
    compute, calls = compute_counted({"k-NN": 0.25})
    kept_rows(tmp_path, "a", compute, "k-NN")
    path = tmp_path / FILE
    path.write_text(damage(path.read_text()))
    assert kept_rows(tmp_path, "a", compute, "k-NN") == {"k-NN": 0.25}
    assert len(calls) == 2
    assert json.loads(path.read_text())["a"]["rows"] == {"k-NN": 0.25}


def test_rows_stand_where_nothing_can_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    compute, _ = compute_counted({"k-NN": 0.25})
    assert kept_rows(tmp_path / "file" / "run", "a", compute, "k-NN") == {"k-NN": 0.25}
    assert "cannot be written" in capsys.readouterr().err


def test_a_mark_changes_with_each_part():
    array = np.arange(6, dtype=np.float32)
    marks = [
        content_mark(*parts)
        for parts in (
            (),
            ("x",),
            (None,),
            (array,),
            (array.reshape(2, 3),),
            (array.astype(np.int32),),
            (array + 1,),
            (array, array),
        )
    ]
    assert len(set(marks)) == len(marks)


def test_image_baselines_are_those_of_the_images(tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
    calls = []

    def counted(train, test):
        calls.append((len(train), len(test)))
        return {"commonest class": 0.5}

    monkeypatch.setattr(tables, "baseline_accuracies", counted)
    config = gsanet.SETUPS["digits"]
    for _ in range(2):
        rows = tables.baselines(config, workdir=tmp_path)
        assert rows == {"commonest class": 0.5} and len(calls) == 1
    data = dataclasses.replace(config.data, train_images=100)
    tables.baselines(dataclasses.replace(config, data=data), workdir=tmp_path)
    assert [train for train, _ in calls][1] == 100
