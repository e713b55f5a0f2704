"""The four systems on an accelerator against what their originals computed.

In float32 with products at their highest precision. GPS-Net has no original: there it
is a restatement in loops, in float64.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import golden, gpsnet_restated
from benchmarks.accelerator.rows import LeftOut, Row
from gpsattn_jax import convert
from gpsattn_jax.models import gpsnet

CODE = ("accelerator/parity.py", "golden.py", "gpsnet_restated.py")
# Of the largest value: of outputs, and of gradients.
LIMITS = {"output": 2e-5, "input gradient": 1e-4, "gradients": 1e-4}
SMALL = 1e-2  # share of all gradients' largest value that an array counts as having


@dataclasses.dataclass(frozen=True)
class Case:
    """One file in our layout.

    Attributes:
        load: arrays by their names -> (network, params, state).
        arrays: of the file.
        inputs: what the network is called with.
        expected: what it should give.
        loss: of the output, whose gradients the file has; None where it has none.
        gradient: of the input, in our layout.
        train: with batch statistics.
    """

    load: Callable[[dict], tuple[Any, Any, Any]]
    arrays: dict[str, np.ndarray]
    inputs: np.ndarray
    expected: np.ndarray
    loss: Callable[[Any], Any] | None = None
    gradient: Any = None
    train: bool = False


def rows(tiny: bool) -> Iterator[Row]:
    """A row for each file."""
    files: list[tuple[str, Callable[[str], Case], str]] = [
        ("GSA module", gsa, "b_square_eval"),
        ("PGL-SUM", pglsum, "c_pgl_default_T77"),
    ]
    if not tiny:
        files += [
            ("GSA module", gsa, "d_rect_train"),
            ("PGL-SUM", pglsum, "c_pgl_relative_T59"),
            ("TransXNet", transxnet, "mini_model"),
            ("TransXNet", transxnet_tiny, "full_t_224x224"),
        ]
    for system, read, name in files:
        measure = functools.partial(measure_file, read, name)
        takes = 60 if "TransXNet" in system else 20
        yield Row(f"parity: {system}, {name}", measure, CODE, takes)
    yield Row(
        "parity: GPS-Net, restated", functools.partial(measure_gpsnet, tiny), CODE, 20
    )


def measure_file(
    read: Callable[[str], Case], name: str, seconds: float
) -> dict[str, Any]:
    """Errors of one file.

    Raises:
        LeftOut: if it is not there.
    """
    del seconds
    try:
        case = read(name)
    except FileNotFoundError as error:
        raise LeftOut(
            f"{error.filename} is not there; ${golden.FOLDER} names the folder"
        ) from error
    return compared(case)


def compared(case: Case) -> dict[str, Any]:
    """Errors of the output and, where the file has them, of all gradients."""
    network, params, state = case.load(golden.prefixed(case.arrays, "param/"))

    def run(params, x):
        return network.apply(params, state, x, train=case.train)[0]

    def objective(params, x):
        out = run(params, x)
        return case.loss(out), out

    with jax.default_matmul_precision("highest"):
        if case.loss is None:
            return judged({"output": error(jax.jit(run)(params, case.inputs), case)})
        gradient = jax.jit(jax.grad(objective, argnums=(0, 1), has_aux=True))
        (gradients, of_input), out = gradient(params, case.inputs)
    errors = {
        "output": error(out, case),
        "input gradient": largest(of_input, case.gradient, 0),
    }
    theirs = golden.prefixed(case.arrays, "grad_param/")
    if theirs:  # of their parameters' shapes, so that the same rules rename them
        there = golden.prefixed(case.arrays, "param/") | theirs
        _, wanted, _ = case.load(there)
        floor = SMALL * max(np.abs(leaf).max() for leaf in jax.tree.leaves(wanted))
        each = jax.tree.map(lambda a, b: largest(a, b, floor), gradients, wanted)
        errors["gradients"] = max(jax.tree.leaves(each))
    return judged(errors)


def error(out: Any, case: Case) -> float:
    """The output's largest difference, relative to its largest value."""
    return largest(out, case.expected.reshape(out.shape), 0)


def largest(ours: Any, theirs: Any, floor: float) -> float:
    """The same of any array; `floor` is the least that its largest value counts."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if not np.isfinite(ours).all():
        return math.nan
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), floor))


def judged(errors: dict[str, float]) -> dict[str, Any]:
    """Errors, and how many times the least of them fits into its limit."""
    margins = [
        LIMITS[name] / max(found, 1e-12) if math.isfinite(found) else 0.0
        for name, found in errors.items()
    ]
    limits = {name: LIMITS[name] for name in errors}
    return {"errors": errors, "limits": limits, "margin": min(margins)}


def gsa(name: str) -> Case:
    """A GSA module."""
    arrays, described = golden.read("gsanet", name)
    options = golden.gsa_options(described)
    cotangent = channels_last(arrays["cotangent"])
    return Case(
        load=functools.partial(convert.load, "gsa_module", **options),
        arrays=arrays,
        inputs=channels_last(arrays["input"]),
        expected=channels_last(arrays["output"]),
        loss=lambda out: jnp.vdot(out, cotangent),
        gradient=channels_last(arrays["grad_input"]),
        train=described["train"],
    )


def pglsum(name: str) -> Case:
    """A whole PGL-SUM on one video."""
    arrays, described = golden.read("pglsum", name)
    options = golden.pglsum_options(described)
    return Case(
        load=functools.partial(convert.load, "pglsum", **options),
        arrays=arrays,
        inputs=arrays["input"][None],
        expected=arrays["output"],
        loss=lambda out: jnp.square(out - arrays["target"][None]).mean(),
        gradient=arrays["grad_input"][None],
    )


def transxnet(name: str) -> Case:
    """A small TransXNet with its gradients."""
    arrays, _ = golden.read("transxnet", name)
    return Case(
        load=functools.partial(convert.load, "transxnet"),
        arrays=arrays,
        inputs=channels_last(arrays["input"]),
        expected=arrays["output64"],
        loss=lambda out: jnp.vdot(out, arrays["cotangent"]),
        gradient=channels_last(arrays["grad_input64"]),
    )


def transxnet_tiny(name: str) -> Case:
    """The published size, of weights that are made from their names."""
    arrays, _ = golden.read("transxnet", name)
    weights = golden.made_weights(golden.manifest("t"), int(arrays["seed"]))
    draw = np.random.RandomState(int(arrays["input_seed"]))
    images = draw.standard_normal(arrays["input_shape"]).astype(np.float32)
    return Case(
        load=functools.partial(convert.load, "transxnet"),
        arrays={f"param/{name}": array for name, array in weights.items()},
        inputs=channels_last(images),
        expected=arrays["logits64"],
    )


def measure_gpsnet(tiny: bool, seconds: float) -> dict[str, Any]:
    """The errors of GPS-Net's output."""
    del seconds
    config, frames = gpsnet.VARIANTS["tiny"], 16
    if tiny:
        config, frames = dataclasses.replace(config, widths=(16,), strides=(2,)), 4
    network, draw = gpsnet.build(config), np.random.default_rng(0)

    def one(path, leaf):
        centre = float(path[-1].key in ("scale", "temperature"))
        spread = 0.3 if leaf.ndim < 2 else leaf.shape[-2] ** -0.5
        return draw.normal(centre, spread, leaf.shape).astype(np.float32)

    params, state = network.shapes()
    params = jax.tree_util.tree_map_with_path(one, params)
    state = jax.tree.map(lambda leaf: draw.uniform(0.5, 2, leaf.shape), state)
    joints = draw.normal(size=(2, 1, frames, config.num_joints, 3)).astype(np.float32)
    wanted, _ = gpsnet_restated.network(params, state, config, joints)
    with jax.default_matmul_precision("highest"):
        out = jax.jit(lambda *all_of: network.apply(*all_of)[0])(params, state, joints)
    return judged({"output": largest(out, wanted, 0)})


def channels_last(images: np.ndarray) -> np.ndarray:
    """[B, C, H, W] -> [B, H, W, C]."""
    return np.moveaxis(images, 1, -1)
