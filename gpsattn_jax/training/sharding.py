"""Where the arrays of a run live: one table from parameter paths to mesh axes.

Kernels know no mesh: `jax.jit` splits their work by where the parameters and the batch
are (GSPMD), so that batch norms see the global batch. Along `seq`, where that is not
enough, modules ask for the mesh that `Placement.on_mesh` sets.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gpsattn_jax.stacks import path_name, shape_of_block
from gpsattn_jax.training.batch_specs import batch_spec
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.processes import introduce, join

Spec = P | Callable[[tuple[int, ...]], P]


def on_longest(axis: str) -> Callable[[tuple[int, ...]], P]:
    """A row's choice by shape: the longest axis of an array along a mesh axis."""

    def choose(shape):
        longest = int(np.argmax(shape)) if shape else 0
        return P(*(axis if i == longest else None for i in range(len(shape))))

    return choose


def on_last(*axes: str | None) -> Callable[[tuple[int, ...]], P]:
    """A row's choice by shape: mesh axes for the last axes, if there are so many."""

    def choose(shape):
        missing = len(shape) - len(axes)
        return P(*(None,) * missing, *axes) if missing >= 0 else P()

    return choose


# Pattern of a path -> mesh axes. The first row that matches wins. The optimizer's state
# and moving averages follow, since their paths end as the parameters' do.
RULES: dict[str, tuple[tuple[str, Spec], ...]] = {
    "tensor": (
        # TransXNet's are matrices, [C, C] and [C, 2 C]: heads are groups of channels.
        (r"mixer/attention/(query|key_value)/kernel$", on_last(None, "model")),
        (r"stages/\d+/position$", on_last("model", None, None)),  # [N, H W, S]
        # [C, N, D], or [M, C, N, D] for M segments: heads.
        (r"(query|key|value)/kernel$", on_last(None, "model", None)),
        (r"out/kernel$", on_last("model", None, None)),  # [N, E, C]
        (r".*", P()),
    ),
    "fsdp": (
        (r"mixer/attention/(query|key_value)/kernel$", on_last("data", "model")),
        (r"(query|key|value)/kernel$", on_last("data", "model", None)),
        (r"out/kernel$", on_last("model", None, "data")),
        (r"(kernels?|table|position)$", on_longest("data")),
        (r".*", P()),
    ),
}


@dataclasses.dataclass(frozen=True)
class Placement:
    """A mesh of devices, and what goes where on it.

    Attributes:
        mesh: its axis `data` splits batches, `seq` what is long in an example; others
            split what the rules say.
        rules: rows (pattern of a path, `PartitionSpec` or a choice of one by shape).
    """

    mesh: Mesh
    rules: tuple[tuple[str, Spec], ...] = RULES["tensor"]

    def shardings(self, tree: Any) -> Any:
        """A sharding for each leaf of a tree of arrays or shapes."""

        def sharding(path, leaf):
            name = path_name(path)
            spec = next(s for pattern, s in self.rules if re.search(pattern, name))
            shape = shape_of_block(name, leaf.shape)
            spec = self._fitting(spec(shape) if callable(spec) else spec, shape)
            # Blocks of a stack are never split: each is needed by itself.
            blocks = len(leaf.shape) - len(shape)
            return NamedSharding(self.mesh, P(*(None,) * blocks, *spec))

        return jax.tree_util.tree_map_with_path(sharding, tree)

    def shapes(self, tree: Any) -> Any:
        """Shapes with shardings: what a checkpoint is restored into."""
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(
                leaf.shape, leaf.dtype, sharding=sharding
            ),
            tree,
            self.shardings(tree),
        )

    @property
    def batch_sharding(self) -> NamedSharding:
        """Of every array of a batch: its first axis along `data`."""
        return NamedSharding(self.mesh, P("data"))

    @property
    def sequence_devices(self) -> int:
        """Along how many devices steps, rows of pixels and persons are split."""
        return self.mesh.shape.get("seq", 1)

    def batch_shardings(self, batch: Any) -> Any:
        """A sharding for each array of a batch, or its shape; see `batch_spec`."""

        def sharding(path, leaf):
            spec = batch_spec(path_name(path), leaf.shape, dict(self.mesh.shape))
            return NamedSharding(self.mesh, spec)

        return jax.tree_util.tree_map_with_path(sharding, batch)

    def on_mesh(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled or to be, where modules find this mesh.

        They need it along `seq` alone; without that axis the function comes back as it
        is.
        """
        if self.sequence_devices == 1:
            return function

        def call(*arguments):
            with jax.set_mesh(self.mesh):
                return function(*arguments)

        return call

    def rows(self, batch_size: int, accumulate: int = 1) -> slice:
        """The rows of a global batch that this process must supply.

        Raises:
            ValueError: if the devices, or parts of the batch, cannot share it evenly.
        """
        self.check_batch(batch_size, accumulate)
        held = self.batch_sharding.addressable_devices_indices_map((batch_size,))
        parts = [index[0].indices(batch_size) for index in held.values() if index]
        first, last = min(p[0] for p in parts), max(p[1] for p in parts)
        if sum(stop - start for start, stop, _ in set(parts)) != last - first:
            raise ValueError(
                "mesh must give each process neighbouring rows of a batch; put data "
                f"first: got {', '.join(self.mesh.axis_names)}."
            )
        return slice(first, last)

    def check_batch(self, batch_size: int, accumulate: int = 1) -> None:
        """Raises ValueError if devices and parts of a batch cannot share it evenly."""
        devices = self.mesh.shape["data"]
        if batch_size % (devices * accumulate):
            of_parts = f" and {accumulate} parts" if accumulate > 1 else ""
            raise ValueError(
                f"train.batch_size must be a multiple of the {devices} devices along "
                f"data{of_parts}; got {batch_size}."
            )

    def put(self, batch: Any) -> Any:
        """This process's rows of a batch -> arrays of the global batch."""
        parts = self.mesh.shape["data"]
        held = self.batch_sharding.addressable_devices_indices_map((parts,))
        share = parts // len({index[0].start or 0 for index in held.values() if index})

        def put_rows(rows, sharding):
            # The other axes are whole here, however many processes share them.
            rows = np.asarray(rows)
            whole = (len(rows) * share, *rows.shape[1:])
            return jax.make_array_from_process_local_data(sharding, rows, whole)

        return jax.tree.map(put_rows, batch, self.batch_shardings(batch))

    def _fitting(self, spec, shape):
        """The spec without axes that the mesh lacks or that do not divide the array."""
        axes = tuple(spec) if len(spec) <= len(shape) else ()

        def fits(axis, size):
            return axis in self.mesh.shape and size % self.mesh.shape[axis] == 0

        return P(
            *(a if fits(a, n) else None for a, n in zip(axes, shape, strict=False))
        )


def place(
    machine: Machine | None = None, devices: Sequence[Any] | None = None
) -> Placement:
    """The placement that a machine's flags ask for; joins the other processes first.

    Args:
        machine: of one process and all its devices by default.
        devices: of the mesh, also ones that are absent, to be compiled for; all that
            there are if None.

    Raises:
        ValueError: if the mesh does not fit the devices there are.
        OSError: if the other processes cannot be found.
    """
    machine = Machine() if machine is None else machine
    join(machine)
    devices = jax.devices() if devices is None else devices
    parts = (machine.mesh or f"data:{len(devices)}").split(",")
    axes = {name: int(size) for name, size in (part.split(":") for part in parts)}
    if len(axes) < len(parts):
        raise ValueError(f"mesh must name each axis once; got {machine.mesh!r}.")
    axes = axes if "data" in axes else {"data": 1} | axes
    if math.prod(axes.values()) != len(devices):
        raise ValueError(
            f"mesh must have as many places as there are devices, {len(devices)}; "
            f"got {machine.mesh!r}."
        )
    mesh = jax.make_mesh(
        tuple(axes.values()),
        tuple(axes),
        axis_types=(AxisType.Auto,) * len(axes),
        devices=devices,
    )
    introduce(mesh)
    return Placement(mesh, RULES[machine.sharding])


def on_every_process(array: chex.Array) -> np.ndarray:
    """An array that may be split over devices and processes, whole, on the host."""
    if jax.process_count() == 1:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def any_process(flag: bool) -> bool:
    """Whether the flag is set on any process; all of them must ask together."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))
