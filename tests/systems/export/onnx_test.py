"""ONNX files: what onnxruntime gives in a process that has neither JAX nor our code."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip(
    "jax2onnx", reason="needs jax2onnx (see docs/how_to/export_onnx.md)"
)
pytest.importorskip("onnxruntime", reason="needs onnxruntime (extra: onnx)")

from jax.extend.core import jaxpr_as_fun

from gpsattn_jax import models
from gpsattn_jax.kernels.depthwise import depthwise_conv
from gpsattn_jax.kernels.gelu import gelu
from gpsattn_jax.models import gpsnet as gpsnet_models
from gpsattn_jax.systems import SYSTEMS
from gpsattn_jax.systems.export import check as export_check
from gpsattn_jax.systems.export import onnx_files
from gpsattn_jax.systems.export.models import Model
from gpsattn_jax.systems.export.onnx_programs import plain
from gpsattn_jax.systems.gpsnet import artefact as gpsnet_artefact
from gpsattn_jax.systems.image_classifier.artefact import classifier_model
from gpsattn_jax.systems.pglsum import artefact as pglsum_artefact
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.sharding import place
from tests.systems import four_systems
from tests.systems.gpsnet.small import CLASSES, LAYOUT, config

GUIDE = pathlib.Path(__file__).parents[3] / "docs" / "how_to" / "export_onnx.md"


def untrained(config, network, **known):
    """A run whose branches all count: no scale is left at zero."""
    params, state = network.init(jax.random.key(0))
    draw = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + 0.1 * draw.standard_normal(leaf.shape, np.float32), params
    )
    return TrainedRun(config, 7, network, params, state, place(), **known)


def small_model(name, tmp_path):
    """A network of a system as its `export` would make it of a run."""
    if name == "gpsnet":
        run = config(tmp_path, "chain6")
        net = gpsnet_models.Config(
            num_classes=len(CLASSES), num_joints=LAYOUT.num_joints, in_channels=2,
            edges=LAYOUT.edges, root=LAYOUT.root, anchors=LAYOUT.anchors,
            widths=(8,), strides=(2,), num_heads=2,
        )  # fmt: skip
        run = dataclasses.replace(run, model=net)
        known = {"class_names": CLASSES, "facts": {"layout": LAYOUT}}
        trained = untrained(run, gpsnet_models.build(net), **known)
        return gpsnet_artefact.run_model(trained, persons=2)
    run = four_systems.configs(tmp_path)[name]
    network = getattr(models, name).build(run.model)
    if name == "pglsum":
        trained = untrained(run, network, facts={"feature_norms": (0.0, 9.0)})
        return pglsum_artefact.run_model(trained, steps=12)
    trained = untrained(run, network, class_names=tuple("零一二3456789"))
    return classifier_model(trained, {"system": name})


@pytest.mark.parametrize("name", sorted(SYSTEMS))
def test_onnxruntime_gives_the_network_s_outputs(name, tmp_path):
    """Batches of one and of three, of one file; and the guide's lines on GSA-Net's."""
    model, path = small_model(name, tmp_path), tmp_path / f"{name}.onnx"
    written = onnx_files.export_onnx(model, path)
    if name == "gsanet":
        assert run_the_guide(path).startswith("[('") and written["class_names"]
    assert export_check.check(model, path, sizes=(1, 3), tolerance=2e-5) <= 2e-5
    assert onnx_files.read_description(path) == json.loads(json.dumps(written))
    assert written["system"] == name and written["step"] == 7
    assert all(shape["shape"][0] == "b" for shape in written["inputs"].values())


def run_the_guide(path):
    """What the page's lines of Python print, which are for `digits.onnx`."""
    (lines,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    path.with_name("digits.onnx").write_bytes(path.read_bytes())
    command = [sys.executable, "-c", lines]
    environment = os.environ | {"PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        command, cwd=path.parent, env=environment, check=True, capture_output=True,
        text=True, encoding="utf-8",
    ).stdout  # fmt: skip


def run_plain(forward, *arrays):
    """A function's outputs, those of its plain program, and the operations of that."""
    batched = jax.vmap(lambda *row: forward(*(array[None] for array in row))[0])
    program = plain(batched, arrays)
    names = {equation.primitive.name for equation in program.jaxpr.eqns}
    return batched(*arrays), jaxpr_as_fun(program)(*arrays), names


def windows(rows, places):
    def window(row, place):
        return jax.lax.dynamic_slice_in_dim(row, place, 3)

    return jax.vmap(window)(rows, places)


def looped(rows):
    def step(total, column):
        return total + column, total * column

    total, parts = jax.lax.scan(step, rows[:, 0], rows.T, reverse=True)
    return total[:, None] + parts.T


def weighed(rows):
    """A loop over places, of which each has its weight: known without rows."""

    def step(total, place):
        return total + rows * (1.0 + place // 2), None

    return jax.lax.scan(step, jnp.zeros_like(rows), jnp.arange(5))[0]


def each_own_filter(maps, filters):
    return depthwise_conv(maps, filters, stride=2)


draw = np.random.default_rng(1)
ROWS = draw.standard_normal((3, 8)).astype(np.float32)
MAPS = draw.standard_normal((3, 6, 7, 4)).astype(np.float32)
FILTERS = draw.standard_normal((3, 3, 3, 4)).astype(np.float32)
PLACES = np.array([0, 1, 9], np.int32)  # one outside is the last


@pytest.mark.parametrize(
    ("forward", "arrays", "gone"),
    [
        (windows, (ROWS, PLACES), "gather"),
        (lambda x: jnp.pad(x, ((0, 0), (2, 1)))[:, 1:], (ROWS,), "pad"),
        (lambda x: jax.lax.pad(x, 1.0, ((0, 0, 0), (-1, -2, 0))), (ROWS,), "pad"),
        (lambda n: n[:, None] % 4, (PLACES,), "rem"),
        (lambda x: jnp.clip(x, -0.5, 0.5), (ROWS,), "clamp"),
        (looped, (ROWS,), "scan"),
        (weighed, (ROWS,), "shift_right_arithmetic"),
        (each_own_filter, (MAPS, FILTERS), "conv_general_dilated"),
        (lambda x: depthwise_conv(x, FILTERS[0]), (MAPS,), "platform_index"),
    ],
)
def test_what_is_written_otherwise_gives_the_same(forward, arrays, gone):
    expected, found, names = run_plain(forward, *arrays)
    assert gone not in names
    np.testing.assert_allclose(found[0], expected, rtol=1e-6, atol=1e-6)


def test_a_gelu_is_close_to_the_polynomial():
    expected, found, names = run_plain(gelu, ROWS)
    assert "erfc" in names
    np.testing.assert_allclose(found[0], expected, atol=2e-6)


def test_another_network_is_not_taken_for_it(tmp_path):
    model = Model(lambda x: x * 2, {"x": jax.ShapeDtypeStruct((1, 3), jnp.float32)}, {})
    other = dataclasses.replace(model, forward=lambda x: x * 3)
    onnx_files.export_onnx(model, tmp_path / "two.onnx")
    with pytest.raises(ValueError, match="must be within 2e-05 of the network's; got"):
        export_check.finish(other, tmp_path / "two.onnx", to="onnx", write=False)


def test_what_stands_in_the_way_is_said_in_a_line(tmp_path, monkeypatch):
    model = Model(lambda x: x, {"x": jax.ShapeDtypeStruct((1, 3), jnp.float32)}, {})
    with pytest.raises(ValueError, match="a.stablehlo: --to=onnx writes a .onnx"):
        export_check.finish(model, tmp_path / "a.stablehlo", to="onnx")
    with pytest.raises(ValueError, match="platforms are of StableHLO"):
        export_check.finish(model, tmp_path / "a.onnx", to="onnx", platforms=["cpu"])
    monkeypatch.setattr(onnx_files, "_convert", fail)
    with pytest.raises(ValueError) as caught:
        onnx_files.export_onnx(model, tmp_path / "a.onnx")
    (line,) = str(caught.value).splitlines()
    assert f"a.onnx: jax2onnx does not convert it with JAX {jax.__version__}" in line
    assert "no such operation" in line and not list(tmp_path.iterdir())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match="^ONNX files need onnxruntime .pip install"):
        export_check.finish(model, tmp_path / "a.onnx", to="onnx")


def fail(*_):
    raise NotImplementedError("no such operation\nat all")
