"""What training does to pictures and their masks."""

import dataclasses
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gpsattn_jax.configs import Checked, rising_pair
from gpsattn_jax.data.images.augment.color import color_jitter
from gpsattn_jax.data.images.augment.recipe import HUE, JITTER


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig(Checked, prefix="augment."):
    """What training does to pictures and masks; as it stands, nothing.

    Attributes:
        scale: of files: range of the factor by which a picture is scaled before a
            random part of it is cut out.
        flip: mirror half of the pictures left and right.
        color_jitter: strength of the random brightness, contrast, saturation and hue.
    """

    scale: Annotated[
        tuple[float, ...], rising_pair("(0, inf)", "be two rising numbers above 0")
    ] = (1.0, 1.0)
    flip: bool = False
    color_jitter: Annotated[tuple[float, ...], JITTER, HUE] = (0.0, 0.0, 0.0, 0.0)


def augment_batch(
    config: AugmentConfig, batch: dict[str, Any], key: jax.Array
) -> dict[str, Any]:
    """Mirrors both, jitters the pictures' colours.

    Args:
        config: the recipe; static under jit. Scaling is done where files are decoded.
        batch: {"inputs": {"images": [B, H, W, C], uint8 or float32 in 0..1},
            "targets": {"mask": [B, H, W]}}.
        key: random key of the step.

    Returns:
        The batch with images float32 in 0..1.
    """
    images, mask = batch["inputs"]["images"], batch["targets"]["mask"]
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255
    flipping, jittering = jax.random.split(key)
    if config.flip:
        chosen = jax.random.bernoulli(flipping, shape=(len(images), 1, 1))
        images = jnp.where(chosen[..., None], images[:, :, ::-1], images)
        mask = jnp.where(chosen, mask[:, :, ::-1], mask)
    images = color_jitter(images, jittering, strengths=config.color_jitter)
    return {
        **batch,
        "inputs": {**batch["inputs"], "images": images},
        "targets": {**batch["targets"], "mask": mask},
    }
