"""The recipe of a training run: which augmentations, how strong, in the usual order."""

import dataclasses
from typing import Annotated, Any, Protocol

import jax
import jax.numpy as jnp

from gpsattn_jax.configs import Checked, Rule, at_least, one_of, rising_pair, within
from gpsattn_jax.data.images.augment import boxes, color, mixing, randaugment
from gpsattn_jax.data.images.augment import geometry as augment

Share = Annotated[float, within("[0, 1]", "be in 0..1")]
Amount = Annotated[float, at_least(0, "be 0 or more")]
Number = Annotated[int, at_least(0, "be 0 or more")]
Range = Annotated[
    tuple[float, ...], rising_pair("(0, inf)", "be two rising numbers above 0")
]
SHARES = Rule(lambda area: area[1] <= 1, "be shares of at most 1")
JITTER = Rule(
    lambda strengths: len(strengths) == 4 and min(strengths) >= 0,
    "be four numbers of 0 or more",
)
HUE = Rule(lambda strengths: strengths[3] <= 0.5, "be of hue at most 0.5")


class CropsOrNot(Protocol):
    """A set of images that says whether its batches come cropped."""

    @property
    def crops_by_seed(self) -> bool: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig(Checked, prefix="augment."):
    """What training does to images in 0..1; as it stands, nothing.

    Attributes:
        crop_scale: random resized crop: range of the crop's share of the area; 1,1 for
            no crop.
        crop_ratio: range of the crop's width divided by its height.
        crop_method: how a crop of images in memory is resampled, bilinear or bicubic;
            with antialiasing. Files are cropped bicubic while they are decoded.
        pad_crop: pixels added on each side before a random crop of the old size.
        pad_mode: what is added, zero or reflect.
        flip: mirror half of the images left and right.
        degrees: rotation by up to this angle.
        zoom: scaling by up to this share.
        shift: rows and columns move by up to this many pixels.
        shear: columns move by up to this many pixels for each row.
        randaugment_ops: RandAugment: operations drawn for each image; 0 for none.
        randaugment_magnitude: how strong, in 0..10.
        randaugment_std: standard deviation of the magnitude, drawn for each operation.
        randaugment_probability: of each drawn operation being done.
        randaugment_increasing: a higher magnitude always changes the image more.
        color_jitter: strength of the random brightness, contrast, saturation and hue.
        erase: probability of erasing a box of an image.
        erase_area: range of the box's share of the area.
        erase_ratio: range of the box's height divided by its width.
        erase_mode: what is put there: noise, zero or mean (the image's own).
        mixup: mix images and labels with a share from Beta(mixup, mixup); 0 for never.
        cutmix: the same with a box of another image, of an area from Beta(cutmix,
            cutmix).
        mix_probability: of a batch being mixed.
        switch_probability: of cutmix where both are on.
    """

    crop_scale: Annotated[Range, SHARES] = (1.0, 1.0)
    crop_ratio: Range = (3 / 4, 4 / 3)
    crop_method: Annotated[str, one_of(("bilinear", "bicubic"))] = "bilinear"
    pad_crop: Number = 0
    pad_mode: Annotated[str, one_of(("zero", "reflect"))] = "zero"
    flip: bool = False
    degrees: Amount = 0.0
    zoom: Share = 0.0
    shift: Amount = 0.0
    shear: Amount = 0.0
    randaugment_ops: Number = 0
    randaugment_magnitude: Annotated[float, within("[0, 10]", "be in 0..10")] = 9.0
    randaugment_std: Amount = 0.5
    randaugment_probability: Share = 0.5
    randaugment_increasing: bool = True
    color_jitter: Annotated[tuple[float, ...], JITTER, HUE] = (0.0, 0.0, 0.0, 0.0)
    erase: Share = 0.0
    erase_area: Annotated[Range, SHARES] = (0.02, 1 / 3)
    erase_ratio: Range = (0.3, 10 / 3)
    erase_mode: Annotated[str, one_of(("noise", "zero", "mean"))] = "noise"
    mixup: Amount = 0.0
    cutmix: Amount = 0.0
    mix_probability: Share = 1.0
    switch_probability: Share = 0.5

    @property
    def mixes(self) -> bool:
        """Whether labels become weights of classes."""
        return bool(self.mixup or self.cutmix)


def left_for_device(recipe: AugmentConfig, images: CropsOrNot) -> AugmentConfig:
    """What of a recipe is still to be done to the batches of a set.

    Args:
        recipe: of the run.
        images: the set; one that crops while it decodes has done that part.
    """
    if images.crops_by_seed:
        return dataclasses.replace(recipe, crop_scale=(1.0, 1.0))
    return recipe


def augment_batch(
    config: AugmentConfig, batch: dict[str, Any], key: jax.Array, num_classes: int
) -> dict[str, Any]:
    """Augments a batch: crop, flip, warp, RandAugment, colours, erasing, mixing.

    Args:
        config: the recipe; static under jit.
        batch: {"inputs": {"images": [B, H, W, C], uint8 or float32 in 0..1},
            "targets": {"label": int32 [B]}}; other entries are passed on.
        key: random key of the step.
        num_classes: width of mixed labels.

    Returns:
        The batch with images float32 in 0..1. Where mixup or cutmix is on, the label
        is float32 [B, num_classes]: the classes' weights.
    """
    images, label = batch["inputs"]["images"], batch["targets"]["label"]
    if images.dtype == jnp.uint8:
        images = images.astype(jnp.float32) / 255
    keys = [jax.random.fold_in(key, step) for step in range(7)]
    images = _move(config, images, key, *keys[:3])
    images = _recolor(config, images, *keys[3:5])
    if config.erase:
        images = boxes.random_erase(
            images,
            keys[5],
            probability=config.erase,
            area=config.erase_area,
            ratio=config.erase_ratio,
            mode=config.erase_mode,
        )
    if config.mixes:
        images, label = mixing.mix(
            images,
            jax.nn.one_hot(label, num_classes),
            keys[6],
            mixup_alpha=config.mixup,
            cutmix_alpha=config.cutmix,
            probability=config.mix_probability,
            switch_probability=config.switch_probability,
        )
    return {
        **batch,
        "inputs": {**batch["inputs"], "images": images},
        "targets": {**batch["targets"], "label": label},
    }


def _move(config, images, key, cropping, padding, flipping):
    if tuple(config.crop_scale) != (1.0, 1.0):
        images = boxes.random_resized_crop(
            images,
            cropping,
            scale=config.crop_scale,
            ratio=config.crop_ratio,
            method=config.crop_method,
        )
    if config.pad_crop:
        images = augment.pad_and_crop(
            images, padding, pixels=config.pad_crop, mode=config.pad_mode
        )
    if config.flip:
        images = augment.flip(images, flipping)
    if config.degrees or config.zoom or config.shift or config.shear:
        # With the batch's own key, as it was before there were others: old runs stay.
        images = augment.random_affine(
            images,
            key,
            degrees=config.degrees,
            zoom=config.zoom,
            shift=config.shift,
            shear=config.shear,
        )
    return images


def _recolor(config, images, drawing, jittering):
    if config.randaugment_ops:
        images = randaugment.rand_augment(
            images,
            drawing,
            count=config.randaugment_ops,
            magnitude=config.randaugment_magnitude,
            std=config.randaugment_std,
            probability=config.randaugment_probability,
            increasing=config.randaugment_increasing,
        )
    return color.color_jitter(images, jittering, strengths=config.color_jitter)
