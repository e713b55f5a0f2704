"""A segmentation run without its pictures, to be planned."""

import functools

import jax
import jax.numpy as jnp

from gpsattn_jax.models import semantic_fpn
from gpsattn_jax.systems.image_classifier.run import make_logits
from gpsattn_jax.systems.planning.programs import Programs
from gpsattn_jax.systems.segmentation.run import augment, layers
from gpsattn_jax.systems.segmentation.setups import Config
from gpsattn_jax.systems.segmentation.windows import batch_size
from gpsattn_jax.training.losses import pixel_cross_entropy


def programs(config: Config) -> Programs:
    """What a run compiles; its network's settings say all that pictures would."""
    model = config.model
    network, side = semantic_fpn.build(model), model.image_size

    def batch(size):
        images, mask = (size, side, side, model.in_channels), (size, side, side)
        return {
            "inputs": {"images": jax.ShapeDtypeStruct(images, jnp.uint8)},
            "targets": {"mask": jax.ShapeDtypeStruct(mask, jnp.uint8)},
        }

    return Programs(
        config=config,
        network=network,
        loss=pixel_cross_entropy(config.train.label_smoothing),
        layers=tuple(layers(model)),
        batch=batch,
        augment=functools.partial(augment, config),
        forward=make_logits(network, config.data),
        together=batch_size(side, 1),
        assumed=(
            f"windows of {side} x {side} x {model.in_channels}, {model.num_classes} "
            f"classes (--model.{model.backbone}.image_size, --model.num_classes)"
        ),
    )
