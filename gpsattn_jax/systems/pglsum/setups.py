"""PGL-SUM's runs by name: SumMe and TVSum, by CNN features or by shots at hand."""

import dataclasses
from typing import Annotated

from gpsattn_jax.configs import Checked, Count, at_least, one_of
from gpsattn_jax.data.videos.feature_transforms import TRANSFORMS
from gpsattn_jax.models import pglsum
from gpsattn_jax.training.config import TrainConfig

LAYOUTS = ("steps", "shots")
PROTOCOLS = ("validation", "paper")
AGAINST = ("mean_user", "each_user")
REDUCE = ("max", "mean")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig(Checked, prefix="data."):
    """Which videos, what the network takes of them, and how summaries are scored.

    Attributes:
        file: HDF5 file of the community's layout, in the folder of data sets or as a
            path of its own.
        splits: JSON or YAML file of splits, likewise.
        split: number of the split.
        layout: steps (`features`), or shots (`hist_shot_features`: a shot is a step).
        extractor: name of what made the features; a file that says another is refused.
        transform: of each video's features: none or l2.
        relative_time: two more channels give a step's place in its video.
        validation_videos: of the training videos, held out to choose a checkpoint by;
            in the protocol `validation`; a split's own val_keys go before.
        skip_bad: leave out videos that do not fit, instead of refusing the file.
        reduce: a summary's F-score: that of the best user (max) or the mean.
        against: rank correlation with each_user or with the mean_user.
    """

    file: str = "vsum/summe.h5"
    splits: str = "vsum/splits/summe_splits_pglsum.json"
    split: Annotated[int, at_least(0)] = 0
    layout: Annotated[str, one_of(LAYOUTS)] = "steps"
    extractor: str = "googlenet_pool5"
    transform: Annotated[str, one_of(TRANSFORMS)] = "l2"
    relative_time: bool = False
    validation_videos: Count = 4
    skip_bad: bool = False
    reduce: Annotated[str, one_of(REDUCE)] = "max"
    against: Annotated[str, one_of(AGAINST)] = "mean_user"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """A whole run: network, data, training.

    Attributes:
        protocol: validation (a checkpoint is chosen by videos held out of training) or
            paper (all of them train; every epoch is scored on the test videos, and the
            paper's rules choose one).
        init_from: weights to start from: a file, the official ones, too; or a run's
            workdir, with :best or :averaged behind it for others than its latest.
    """

    model: pglsum.Config = pglsum.Config()
    data: DataConfig = DataConfig()
    train: TrainConfig = TrainConfig(best_metric="tau")
    protocol: Annotated[str, one_of(PROTOCOLS)] = "validation"
    init_from: str = ""

    def check_together(self) -> None:
        """What cannot be trained so."""
        if self.train.accumulate != 1:
            self.refuse(
                "train.accumulate", "be 1, since gradients are sums over videos"
            )


# The published recipe: all training videos in a batch, gradients summed over them, 200
# steps, Adam with decay in the gradient.
PAPER = TrainConfig(
    num_steps=200,
    batch_size=20,
    optimizer="adam",
    learning_rate=5e-5,
    warmup_steps=0,
    schedule="constant",
    weight_decay=1e-5,
    decayed="all",
    clip_norm=5.0,
    label_smoothing=0.0,
    seed=12345,
    log_every=1,
    evaluate_every=10,
    best_metric="tau",
)
SUMME = Config(train=PAPER)
TVSUM = Config(
    data=DataConfig(
        file="vsum/tvsum.h5",
        splits="vsum/splits/tvsum_splits_pglsum.json",
        validation_videos=8,
        reduce="mean",
        against="each_user",
    ),
    train=dataclasses.replace(PAPER, batch_size=40),
)


def _by_shots(setup):
    """The same videos by the colour histograms of their shots, else as published."""
    return dataclasses.replace(
        setup,
        model=pglsum.Config(input_size=96),
        data=dataclasses.replace(
            setup.data,
            layout="shots",
            extractor="color_histogram_shots",
            transform="none",
        ),
        train=dataclasses.replace(
            setup.train, num_steps=100, learning_rate=1e-3, seed=0
        ),
    )


def _with_time(setup, num_steps):
    """Chosen on validation videos alone, see docs/results.md."""
    return dataclasses.replace(
        setup,
        model=pglsum.Config(input_size=98, hidden_size=96),
        data=dataclasses.replace(setup.data, relative_time=True),
        train=dataclasses.replace(setup.train, num_steps=num_steps),
    )


SETUPS = {
    "summe": SUMME,
    "tvsum": TVSUM,
    "summe_shots": _with_time(_by_shots(SUMME), 200),
    "tvsum_shots": _with_time(_by_shots(TVSUM), 100),
    "summe_shots_published": _by_shots(SUMME),
    "tvsum_shots_published": _by_shots(TVSUM),
}
