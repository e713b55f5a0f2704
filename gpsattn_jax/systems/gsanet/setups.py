"""GSA-Net's runs by name: digits, CIFAR-100, Imagenette, ImageNet, and ResNet twins."""

import dataclasses

from gpsattn_jax.data.images.augment.recipe import AugmentConfig
from gpsattn_jax.data.images.sets import DataConfig
from gpsattn_jax.models import gsanet
from gpsattn_jax.training.config import TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run: network, data, augmentation, training.

    Attributes:
        init_from: a trained run's workdir, with :best or :averaged behind it for others
            than its latest weights, or a file of weights, to start from; a head of
            another width starts afresh.
    """

    model: gsanet.Config = gsanet.Config()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    init_from: str = ""


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
CIFAR100 = DataConfig(
    name="cifar100",
    validation_images=5_000,
    mean=(0.507, 0.487, 0.441),
    std=(0.267, 0.256, 0.276),
)
# 10,000 of the 1,281,167 training images are held out to validate; `val` is the test.
IMAGENET = DataConfig(
    name="imagenet", validation_images=10_000, mean=MEAN, std=STD, workers=8
)
EPOCH = 1_271_167

DIGITS = Config(
    model=gsanet.VARIANTS["8px"],
    augment=AugmentConfig(degrees=15, zoom=0.1, shift=0.7, shear=0.1),
    train=TrainConfig(
        num_steps=2_000, batch_size=32, learning_rate=2e-3, evaluate_every=250
    ),
)

# 100 epochs for an accelerator, in the manner of current small-image recipes.
CIFAR100_MODERN = Config(
    model=gsanet.VARIANTS["32px"],
    data=CIFAR100,
    augment=AugmentConfig(
        pad_crop=4, flip=True, randaugment_ops=2, erase=0.25, mixup=0.2, cutmix=1.0
    ),
    train=TrainConfig(
        num_steps=35_000,
        batch_size=128,
        learning_rate=2e-3,
        warmup_steps=1_750,
        evaluate_every=1_750,
        precision="bfloat16",
        ema_decay=0.999,
    ),
)

# For two CPU cores: a run takes minutes.
CIFAR100_PATCHES = Config(
    model=gsanet.VARIANTS["32px_patches"],
    data=CIFAR100,
    augment=AugmentConfig(pad_crop=4, flip=True),
    train=TrainConfig(
        num_steps=3_000,
        batch_size=32,
        learning_rate=2e-3,
        warmup_steps=200,
        evaluate_every=1_000,
    ),
)

# 60 epochs of 128 px images.
IMAGENETTE = Config(
    model=dataclasses.replace(
        gsanet.VARIANTS["38"], image_size=128, num_classes=10, num_heads=8
    ),
    data=DataConfig(
        name="imagenette", validation_images=500, mean=MEAN, std=STD, crop_share=1.0
    ),
    augment=AugmentConfig(crop_scale=(0.35, 1.0), flip=True),
    train=TrainConfig(
        num_steps=8_400, batch_size=64, warmup_steps=700, evaluate_every=700
    ),
)

# The paper's recipe as recollected (it has no official code): 90 epochs of SGD with a
# cosine from 0.1 for each 256 images, decay of everything, crops and flips.
IMAGENET_PAPER90 = Config(
    data=IMAGENET,
    augment=AugmentConfig(crop_scale=(0.08, 1.0), flip=True),
    train=TrainConfig(
        num_steps=90 * EPOCH // 2048,
        batch_size=2048,
        optimizer="sgd",
        learning_rate=0.1 * 2048 / 256,
        warmup_steps=5 * EPOCH // 2048,
        weight_decay=1e-4,
        decayed="all",
        clip_norm=0.0,
        evaluate_every=2_500,
        precision="bfloat16",
    ),
)

# What comparable networks are trained with today: 300 epochs of AdamW, RandAugment,
# mixup and cutmix, erasing, averaged weights.
IMAGENET_MODERN = Config(
    data=IMAGENET,
    augment=AugmentConfig(
        crop_scale=(0.08, 1.0),
        flip=True,
        randaugment_ops=2,
        erase=0.25,
        mixup=0.8,
        cutmix=1.0,
    ),
    train=TrainConfig(
        num_steps=300 * EPOCH // 1024,
        batch_size=1024,
        learning_rate=2e-3,
        final_learning_rate=1e-5,
        warmup_steps=5 * EPOCH // 1024,
        evaluate_every=5_000,
        precision="bfloat16",
        ema_decay=0.9998,
        best_metric="ema/accuracy",
    ),
)


def resnet_twin(config: Config) -> Config:
    """The same run of the plain ResNet: 3x3 convolutions in place of GSA modules."""
    everywhere = ("conv",) * len(config.model.layers)
    model = dataclasses.replace(config.model, mixers=everywhere)
    return dataclasses.replace(config, model=model)


_GSA = {
    "digits": DIGITS,
    "cifar100": CIFAR100_MODERN,
    "cifar100_patches": CIFAR100_PATCHES,
    "imagenette": IMAGENETTE,
    "imagenet_paper90": IMAGENET_PAPER90,
    "imagenet_modern": IMAGENET_MODERN,
}
SETUPS = _GSA | {f"{name}_resnet": resnet_twin(run) for name, run in _GSA.items()}
