"""What is long is split over devices: all systems against one device, and refusals."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from gpsattn_jax.data.videos.videos import Video, VideoSet
from gpsattn_jax.modules.weight_dropout import dropout_factors, dropout_factors_at
from gpsattn_jax.training.batch_specs import batch_spec
from tests.processes import hurried_environment

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(*arguments, devices=8):
    """A process of its own, since JAX counts its devices once."""
    environment = {
        **os.environ,
        **hurried_environment(),
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "meshes"),
    [("pglsum", 3), ("gsanet", 1), ("transxnet", 2), ("gpsnet", 1)],
)
def test_a_split_step_is_the_plain_one(system, meshes):
    """Outputs, statistics and gradients at 1e-5; no device gathers what is long."""
    result = run("-m", "tests.training.split_run", system)
    assert result.returncode == 0, result.stderr[-4000:]
    assert result.stdout.count("agrees") == meshes, result.stdout


@pytest.mark.parametrize("x64", [False, True])
def test_dropout_of_some_keys_is_that_of_whole_rows(x64):
    """A device draws for its own rows and columns what one device would draw."""
    with jax.enable_x64(x64):
        rng, head = jax.random.key(3), jnp.int32(2)
        columns = jnp.arange(50)[None]
        whole = jnp.concatenate(
            [
                dropout_factors(
                    0.4, rng, head, first + jnp.arange(10)[:, None], columns
                )
                for first in (0, 10, 20)
            ]
        )
        assert 0 < float((whole == 0).mean()) < 1
        rows, some = jnp.arange(7, 25), jnp.arange(20, 37)
        part = dropout_factors_at(
            0.4, rng, head, rows[:, None], some[None], block=10, num_keys=50
        )
        np.testing.assert_array_equal(part, whole[7:25, 20:37])


def test_what_a_batch_is_split_along():
    mesh = {"data": 2, "seq": 4}
    assert batch_spec("inputs/features", (2, 8, 3), mesh) == P("data", "seq")
    assert batch_spec("targets/score", (2, 8), mesh) == P("data", "seq")
    assert batch_spec("images", (2, 8, 8, 3), mesh) == P("data", "seq")
    assert batch_spec("inputs/length", (2,), mesh) == P("data")
    assert batch_spec("inputs/features", (2, 7, 3), {"data": 2}) == P("data")


@pytest.mark.parametrize(
    ("shape", "mesh", "message"),
    [
        (
            (2, 10, 10, 3), {"data": 2, "seq": 4},
            r"^images must have a multiple of the 4 devices along seq in axis 1; "
            r"got \(2, 10, 10, 3\)\.$",
        ),
        (
            (2, 8, 8, 3), {"data": 2, "seq": 2, "model": 2},
            r"^mesh must have no axis but data where .* got data:2,seq:2,model:2",
        ),
    ],
)  # fmt: skip
def test_a_batch_that_cannot_be_split_is_refused(shape, mesh, message):
    with pytest.raises(ValueError, match=message):
        batch_spec("images", shape, mesh)


def test_videos_are_padded_to_what_devices_share():
    features = np.ones((20, 2), np.float32)
    videos = [Video("a", features, np.arange(20), 300)]
    shapes = [
        VideoSet(videos, multiple_of=m).batch(np.array([0]))["inputs"]["features"].shape
        for m in (1, 4, 8)
    ]
    assert shapes == [(1, 20, 2), (1, 20, 2), (1, 24, 2)]


def test_a_mesh_that_does_not_divide_the_segments_is_refused():
    result = run("-c", SEGMENTS, devices=3)
    assert result.stdout == (
        "mesh must have devices along seq that divide the 4 segments, or are a "
        "multiple of them; got seq:3.\n"
    ), result.stderr[-2000:]


SEGMENTS = """
import jax
from gpsattn_jax.models import pglsum
from gpsattn_jax.training import Machine
from gpsattn_jax.training.sharding import place
network = pglsum.build(pglsum.Config(input_size=16, num_heads=2, local_heads=2))
features = jax.ShapeDtypeStruct((1, 24, 16), "float32")
apply = lambda params, state, x: network.apply(params, state, x)[0]
try:
    place(Machine(mesh="seq:3")).on_mesh(jax.jit(apply).lower)(
        *network.shapes(), features
    )
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_the_commands_message_is_one_line(tmp_path):
    result = run(
        "experiments/gsanet.py", "--setup=digits", f"--workdir={tmp_path}",
        "--mesh=data:1,seq:3", devices=3,
    )  # fmt: skip
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: inputs/images must have a multiple of the 3 devices")


@pytest.mark.slow
def test_xla_still_multiplies_the_gradient_of_a_split_convolution():
    """When this fails, `batch_specs._check_images` can go."""
    result = run("-c", CONVOLUTION)
    assert float(result.stdout) > 0.5, (result.stdout, result.stderr[-2000:])


CONVOLUTION = """
import jax, jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
mesh = jax.make_mesh((2, 2, 2), ("data", "seq", "model"),
                     axis_types=(jax.sharding.AxisType.Auto,) * 3)
keys = jax.random.split(jax.random.key(0), 3)
shapes = (3, 3, 1, 8), (8, 16, 16, 1), (8, 16, 16, 8)
kernel, x, slope = (jax.random.normal(k, s) for k, s in zip(keys, shapes))
def value(kernel, x, slope):
    out = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return (slope * out).sum()
gradient = jax.jit(jax.grad(value))
rows = NamedSharding(mesh, P("data", "seq"))
split = gradient(jax.device_put(kernel, NamedSharding(mesh, P())),
                 *jax.device_put((x, slope), rows))
plain = gradient(kernel, x, slope)
print(float(jnp.abs(split - plain).max() / jnp.abs(plain).max()))
"""


@pytest.mark.slow
def test_the_command_trains_on_a_mesh_as_on_one_device(tmp_path):
    """Losses and the scores of validation videos, of which some are short."""
    pytest.importorskip("h5py", reason="needs h5py (extra: data)")
    from gpsattn_jax.data.videos.feature_files import write_videos
    from gpsattn_jax.training.logs import read_metrics
    from tests.data.videos.annotated_videos import annotated, write_splits

    videos = [annotated(n, steps=5 + 3 * n, shots=2 * (5 + n)) for n in range(10)]
    write_videos(tmp_path / "videos.h5", videos, {"extractor": "test"})
    write_splits(tmp_path / "splits.json", [(list(range(7)), list(range(7, 10)))])
    flags = [
        "--setup=summe", f"--data_dir={tmp_path}",
        "--data.file=videos.h5", "--data.splits=splits.json",
        "--data.extractor=test", "--data.validation_videos=2", "--model.input_size=16",
        "--model.num_heads=2", "--model.local_heads=2", "--train.batch_size=4",
        "--train.num_steps=3", "--train.evaluate_every=3", "--train.log_every=1",
        "--train.best_metric=tau",
    ]  # fmt: skip
    found = []
    for mesh, devices in (("data:1", 1), ("data:2,seq:4", 8)):
        workdir = tmp_path / mesh.replace(":", "")
        result = run(
            "experiments/pglsum.py", f"--workdir={workdir}", f"--mesh={mesh}", *flags,
            devices=devices,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr[-4000:]
        found.append([line for line in read_metrics(workdir) if "step" in line])
    one, split = found
    assert len(one) == len(split) >= 3
    for left, right in zip(one, split, strict=True):
        for name in left.keys() & {"loss", "grad_norm", "evaluation/tau"}:
            np.testing.assert_allclose(right[name], left[name], rtol=1e-4)
    assert "loss" in one[0] and "evaluation/tau" in one[-1]


@pytest.mark.slow
def test_memory_falls_with_the_devices():
    """As the table in docs/scaling.md, for a video that is quick to compile."""
    result = run("-m", "benchmarks.long_videos", "--steps", 8000, "--devices", 1, 4)
    assert result.returncode == 0, result.stderr[-4000:]
    rows = [line.strip("| ").split(" | ") for line in result.stdout.splitlines()]
    one, four = (dict(zip(rows[0], row, strict=True)) for row in rows[2:])
    assert (one["devices"], four["devices"]) == ("1", "4")
    assert float(four["temporaries GB"]) < float(one["temporaries GB"]) / 3
    assert "all-gather" not in four["collectives"]
