"""Segmentation's runs by name: digits on textured ground, a user's own folder."""

import dataclasses

from gpsattn_jax.data.segmentation import AugmentConfig, DataConfig
from gpsattn_jax.models import gsanet, semantic_fpn, transxnet
from gpsattn_jax.training.config import TrainConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run: network, data, augmentation, training.

    Attributes:
        init_from: a trained run's workdir, with :best or :averaged behind it for others
            than its latest weights; or a file to start from: of a whole segmenter, or
            of a backbone, as classifiers, mmsegmentation and mmdetection have it.
    """

    model: semantic_fpn.Config = semantic_fpn.Config()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig(label_smoothing=0.0, best_metric="mean_iou")
    init_from: str = ""


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's

# For two CPU cores. No flips: a mirrored digit is none. A dropped channel of 48 is more
# than one of 128.
TEXTURED_DIGITS = Config(
    model=semantic_fpn.Config(
        transxnet=transxnet.Config(
            depths=(1, 1, 2, 1),
            widths=(16, 32, 64, 128),
            num_heads=(1, 2, 4, 8),
            image_size=64,
            drop_path=0.0,
            features_only=True,
        ),
        channels=48,
        head_channels=48,
        dropout=0.0,
        num_classes=11,
    ),
    train=TrainConfig(
        num_steps=2_000,
        batch_size=16,
        learning_rate=2e-3,
        warmup_steps=100,
        evaluate_every=500,
        label_smoothing=0.0,
        best_metric="mean_iou",
    ),
)

# A ResNet of as many parameters in the place of TransXNet.
TEXTURED_DIGITS_RESNET = dataclasses.replace(
    TEXTURED_DIGITS,
    model=dataclasses.replace(
        TEXTURED_DIGITS.model,
        backbone="gsanet",
        gsanet=gsanet.Config(
            layers=(1, 1, 2, 1),
            widths=(13, 26, 53, 105),
            mixers=("conv",) * 4,
            image_size=64,
            features_only=True,
        ),
    ),
)

# From the official weights (their file's own name) to a folder of one's own pictures.
FOLDER = Config(
    model=semantic_fpn.Config(
        transxnet=transxnet.Config(image_size=256, features_only=True),
        gsanet=gsanet.Config(mixers=("conv",) * 4, image_size=256, features_only=True),
        num_classes=2,
    ),
    data=DataConfig(name="folder", mean=MEAN, std=STD),
    augment=AugmentConfig(
        scale=(0.5, 2.0), flip=True, color_jitter=(0.3, 0.3, 0.3, 0.05)
    ),
    train=TrainConfig(
        num_steps=4_000,
        batch_size=16,
        learning_rate=2e-4,
        warmup_steps=200,
        weight_decay=1e-4,
        decayed="matrices",
        evaluate_every=500,
        label_smoothing=0.0,
        best_metric="mean_iou",
    ),
    init_from="transx-t.pth.tar",
)

SETUPS = {
    "textured_digits": TEXTURED_DIGITS,
    "textured_digits_resnet": TEXTURED_DIGITS_RESNET,
    "folder": FOLDER,
}
