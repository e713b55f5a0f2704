"""GPS-Net's runs by name: five small sets, NTU RGB+D, and a user's own clips."""

import dataclasses

from gpsattn_jax.data.skeletons.sets import SETS
from gpsattn_jax.models import gpsnet
from gpsattn_jax.training.config import TrainConfig

FILES = ("ntu", "pickle", "folder")  # kinds of data with a file or folder of their own
MISSING = ("mask", "interpolate")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which clips, and what is done to them before the network sees them.

    Attributes:
        name: nw_ucla, jhmdb14, utkinect, florence3d, msr_action3d; or ntu (an npz of
            x_train, y_train, x_test, y_test), pickle (as pyskl and mmaction2 have it)
            or folder (npy, npz or csv clips and a labels.csv).
        path: of the file or folder, for these three.
        layout: of the joints: a layout's name, a JSON file or a list of edges; the
            set's own if empty.
        split: number of the split.
        train_split: name of the split to train on, for pickle and folder.
        test_split: likewise, to test on.
        validation_fold: part of the training clips that is held out and scored while
            training: a person, or a fifth of each class where persons are not known;
            -1 for none.
        missing: missing joints are hidden (mask) or filled in from the frames around
            them (interpolate).
        num_frames: T, to which each clip is resized.
        unit_size: each clip is divided by the size of its persons.
    """

    name: str = "nw_ucla"
    path: str = ""
    layout: str = ""
    split: int = 0
    train_split: str = "train"
    test_split: str = "test"
    validation_fold: int = -1
    missing: str = "mask"
    num_frames: int = 32
    unit_size: bool = False

    def __post_init__(self) -> None:
        """Rejects unknown choices."""
        for name, choices in (("name", (*SETS, *FILES)), ("missing", MISSING)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"data.{name} must be one of {', '.join(choices)}; "
                    f"got {getattr(self, name)!r}."
                )
        for name, least in (("split", 0), ("validation_fold", -1), ("num_frames", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"data.{name} must be at least {least}; got {getattr(self, name)}."
                )
        if bool(self.path) != (self.name in FILES):
            wanted = "a file or folder" if self.name in FILES else "empty"
            raise ValueError(
                f"data.path must be {wanted} for data.name={self.name}; "
                f"got {self.path!r}."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """What training does to each clip anew.

    Attributes:
        crop: least and greatest share of a clip's frames that is taken.
        degrees: the clip turns about x, y and z by up to this; flat joints about z.
        scale: least and greatest factor on all coordinates.
        noise: standard deviation of noise on each coordinate.
        mirror: share of clips that are mirrored left to right, where the layout says
            which joints change places.
        drop_joints: share of joints that are hidden, each in a whole clip.
        drop_frames: share of frames that are hidden.
    """

    crop: tuple[float, float] = (0.7, 1.0)
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float] = (0.8, 1.2)
    noise: float = 0.01
    mirror: float = 0.5
    drop_joints: float = 0.0
    drop_frames: float = 0.0

    def __post_init__(self) -> None:
        """Rejects what cannot be drawn."""
        for name, count in (("crop", 2), ("scale", 2), ("degrees", 3)):
            if len(getattr(self, name)) != count:
                raise ValueError(
                    f"augment.{name} must be {count} numbers; "
                    f"got {getattr(self, name)}."
                )
        low, high = self.crop
        if not 0 < low <= high <= 1:
            raise ValueError(f"augment.crop must rise within (0, 1]; got {self.crop}.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"augment.scale must rise above 0; got {self.scale}.")
        if self.noise < 0 or min(self.degrees) < 0:
            raise ValueError(
                "augment.noise and augment.degrees must be at least 0; "
                f"got {self.noise} and {self.degrees}."
            )
        for name in ("mirror", "drop_joints", "drop_frames"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"augment.{name} must be in [0, 1); got {getattr(self, name)}."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A whole run: network, data, augmentation, training.

    Attributes:
        init_from: weights that training starts from: a run's workdir, or a
            `.safetensors` file; the head is new where the classes differ.
    """

    model: gpsnet.Config = gpsnet.Config()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()
    init_from: str = ""


SMALL = gpsnet.Config(
    widths=(64, 64),
    strides=(2, 2),
    num_heads=4,
    distances=True,
    motions=(1, 2),
    distance_motions=(1, 2),
    pooling="mean_max",
    dropout=0.5,
    channel_dropout=0.1,
)


def _small(name, clips, epochs, batch_size=32, **augment):
    """One recipe for the small sets, chosen on held-out training clips.

    See docs/results.md. A batch is worked off in parts of 8 clips, which stay in a
    processor's cache.
    """
    steps = epochs * (clips // batch_size)
    return Config(
        model=SMALL,
        data=DataConfig(name=name, num_frames=16, unit_size=True),
        augment=AugmentConfig(**({"scale": (0.9, 1.1)} | augment)),
        train=TrainConfig(
            num_steps=steps,
            batch_size=batch_size,
            accumulate=batch_size // 8,
            learning_rate=3e-3,
            warmup_steps=steps // 20,
            weight_decay=0.1,
            log_every=max(1, steps // 20),
            evaluate_every=steps,
        ),
    )


def _calm(setup):
    """Less of everything that disturbs, which held-out persons of Florence3D preferred.

    Its z axis is vertical, y in the other sets.
    """
    return dataclasses.replace(
        setup,
        model=dataclasses.replace(setup.model, dropout=0.3, channel_dropout=0.0),
        augment=dataclasses.replace(
            setup.augment, degrees=(10.0, 10.0, 20.0), mirror=0.0
        ),
    )


NTU = Config(
    model=dataclasses.replace(gpsnet.VARIANTS["base"], drop_path=0.1),
    data=DataConfig(name="ntu", path="ntu/NTU60_CS.npz", num_frames=64),
    augment=AugmentConfig(
        crop=(0.5, 1.0), degrees=(17.0, 17.0, 17.0), scale=(0.9, 1.1), mirror=0.0
    ),
    train=TrainConfig(
        num_steps=62_600, batch_size=64, warmup_steps=3130, evaluate_every=3130
    ),
)

UPRIGHT, FLAT = (15.0, 60.0, 15.0), (0.0, 0.0, 12.0)
SETUPS = {
    "nw_ucla": _small("nw_ucla", 1020, 80, degrees=(15.0, 90.0, 15.0), crop=(0.5, 1.0)),
    "jhmdb14": _small("jhmdb14", 400, 50, degrees=FLAT),
    "utkinect": _small("utkinect", 100, 80, 16, degrees=UPRIGHT),
    "florence3d": _calm(_small("florence3d", 108, 80, 16)),
    "msr_action3d": _small("msr_action3d", 280, 40, 16, degrees=UPRIGHT, mirror=0.0),
    "ntu": NTU,
    "folder": dataclasses.replace(
        _small("nw_ucla", 400, 50, degrees=UPRIGHT, mirror=0.0),
        data=DataConfig(
            name="folder", path="clips", layout="mediapipe33", num_frames=16,
            unit_size=True,
        ),
    ),
    "pickle": dataclasses.replace(
        _small("nw_ucla", 400, 50, degrees=FLAT, mirror=0.0),
        data=DataConfig(
            name="pickle", path="annotations.pkl", layout="coco17", num_frames=16,
            unit_size=True,
        ),
    ),
}  # fmt: skip
