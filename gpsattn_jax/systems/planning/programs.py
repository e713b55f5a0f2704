"""What a run of a system compiles: its step and its evaluation, as shapes."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax

from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.training import ahead
from gpsattn_jax.training.losses import Loss
from gpsattn_jax.training.sharding import Placement

Shapes = dict[str, Any]
WHAT = ("train", "evaluate")


@dataclasses.dataclass(frozen=True)
class Programs:
    """A run without its data.

    Attributes:
        config: of the run.
        network: its network.
        loss: of the network's outputs.
        layers: as for `fit`.
        batch: size -> shapes of a batch, {"inputs", "targets"}, as data give it.
        augment: (batch, key) -> the batch that a step gets; None for the same.
        forward: (params, model state, inputs) -> outputs, of an evaluation.
        together: examples of an evaluation's batch, before it is rounded up to a
            multiple of the devices.
        assumed: what the data would decide, in words.
    """

    config: Any
    network: Functional
    loss: Loss
    layers: tuple[str, ...]
    batch: Callable[[int], dict[str, Shapes]]
    augment: Callable[..., Any] | None
    forward: Callable[..., Any]
    together: int
    assumed: str

    def batch_size(self, what: str, placement: Placement) -> int:
        """Examples of a global batch, in training or evaluation."""
        if what == "train":
            return self.config.train.batch_size
        devices = placement.mesh.shape["data"]
        return -(-self.together // devices) * devices

    def lower(self, what: str, placement: Placement) -> jax.stages.Lowered:
        """The program of a placement's devices.

        Args:
            what: one of `WHAT`.
            placement: the devices; absent ones, too.

        Raises:
            ValueError: if the devices cannot share the batch evenly.
        """
        batch = self.batch(self.batch_size(what, placement))
        if what == "evaluate":
            return ahead.lower_evaluation(
                self.network, self.forward, batch["inputs"], placement
            )
        if self.augment is not None:
            key = jax.eval_shape(functools.partial(jax.random.key, 0))
            batch = jax.eval_shape(self.augment, batch, key)
        return ahead.lower_step(
            self.network,
            self.loss,
            batch,
            self.config.train,
            placement,
            layers=self.layers,
        )
