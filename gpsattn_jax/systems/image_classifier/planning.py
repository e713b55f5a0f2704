"""An image classifier's run without its pictures, to be planned."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from gpsattn_jax.systems.image_classifier.record import ImageClassifier
from gpsattn_jax.systems.image_classifier.run import TOGETHER, augment, make_forward
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.training.losses import cross_entropy


def programs(system: ImageClassifier, config: Any) -> Programs:
    """What a run compiles; its network's settings say all that pictures would.

    Args:
        system: which.
        config: of the run.
    """
    model = config.model
    network = system.build(model)

    def batch(size):
        images = size, model.image_size, model.image_size, model.in_channels
        return {
            "inputs": {"images": jax.ShapeDtypeStruct(images, jnp.uint8)},
            "targets": {"label": jax.ShapeDtypeStruct((size,), jnp.int32)},
        }

    return Programs(
        config=config,
        network=network,
        loss=cross_entropy(config.train.label_smoothing),
        layers=system.layers,
        batch=batch,
        augment=functools.partial(augment, config, config.augment, model.num_classes),
        forward=make_forward(network, config.data),
        together=TOGETHER,
        assumed=(
            f"pictures of {model.image_size} x {model.image_size} x "
            f"{model.in_channels}, {model.num_classes} classes (--model.image_size, "
            "--model.in_channels, --model.num_classes)"
        ),
    )
