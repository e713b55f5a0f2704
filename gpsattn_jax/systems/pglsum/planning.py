"""PGL-SUM's run without its videos, to be planned."""

import jax
import jax.numpy as jnp

from gpsattn_jax.data.videos.videos import bucket
from gpsattn_jax.models import pglsum
from gpsattn_jax.systems.pglsum.run import TOGETHER, make_forward
from gpsattn_jax.systems.pglsum.setups import Config
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.training.losses import summed_squares


def programs(config: Config, *, steps: int = 320) -> Programs:
    """What a run compiles for videos of a length.

    Args:
        config: of the run.
        steps: of the longest video; a batch is padded to its bucket.
    """
    network, length = pglsum.build(config.model), bucket(steps)

    def batch(size):
        features = size, length, config.model.input_size
        lengths = jax.ShapeDtypeStruct((size,), jnp.int32)
        return {
            "inputs": {
                "features": jax.ShapeDtypeStruct(features, jnp.float32),
                "length": lengths,
            },
            "targets": {
                "score": jax.ShapeDtypeStruct((size, length), jnp.float32),
                "length": lengths,
            },
        }

    return Programs(
        config=config,
        network=network,
        loss=summed_squares(),
        layers=(),
        batch=batch,
        augment=None,
        forward=make_forward(network),
        together=TOGETHER,
        assumed=(
            f"videos of up to {steps} steps, padded to {length} (--steps), "
            f"{config.model.input_size} features a step (--model.input_size)"
        ),
    )
