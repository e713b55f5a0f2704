"""The videos of a PGL-SUM run: read, split, and as the network takes them."""

import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from gpsattn_jax.data.data_folder import ADVICE, data_folder
from gpsattn_jax.data.videos.feature_transforms import TIME_CHANNELS, transform_video
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.systems.pglsum.setups import Config, DataConfig


def load_videos(
    data: DataConfig, data_dir: str | os.PathLike | None = None
) -> dict[str, Video]:
    """The videos of a run by name.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names video and key that do not fit, or another extractor.
    """
    from gpsattn_jax.data.videos.feature_files import read_videos  # needs h5py

    path = _find(data.file, data_dir)
    videos, attributes = read_videos(
        path, data.layout, features_alone=True, skip_bad=data.skip_bad
    )
    made_by = attributes.get("extractor", data.extractor)
    if made_by != data.extractor:
        raise ValueError(
            f"{path} must hold features of data.extractor={data.extractor}; "
            f"it says {made_by}."
        )
    return videos


def split_videos(
    config: Config,
    videos: Mapping[str, Video],
    data_dir: str | os.PathLike | None = None,
) -> dict[str, list[Video]]:
    """{"train", "validation", "test"} of a split; nothing to validate for the paper's.

    A split's own `val_keys` are what is validated. Without them, which training videos
    are held out depends on the split alone, not on the seed.

    Raises:
        ValueError: if the split is not there or does not fit the videos.
    """
    from gpsattn_jax.data.videos.split_files import (
        check_split,
        find_keys,
        keep_known,
        read_splits,
    )

    path = _find(config.data.splits, data_dir)
    splits = read_splits(path)
    if config.data.split >= len(splits):
        raise ValueError(
            f"data.split must be below the {len(splits)} of {path}; "
            f"got {config.data.split}."
        )
    where = f"{path}: split {config.data.split}"
    split = find_keys(splits[config.data.split], videos)
    if config.data.skip_bad:
        split = keep_known(split, videos, where)
    check_split(split, videos, where)
    keys, held = list(split["train_keys"]), config.data.validation_videos
    if config.protocol == "paper" or "val_keys" in split:
        held = 0
    if held >= len(keys):
        raise ValueError(
            f"data.validation_videos must be below the {len(keys)} training videos; "
            f"got {held}."
        )
    order = np.random.default_rng(config.data.split).permutation(len(keys))
    hidden = {keys[place] for place in order[:held]}
    validation = [videos[key] for key in split.get("val_keys", ())]
    if config.protocol == "paper" and validation:
        print(f"{where}: val_keys are not used by protocol=paper.", file=sys.stderr)
        validation = []
    return {
        "train": [videos[key] for key in keys if key not in hidden],
        "validation": validation or [videos[key] for key in keys if key in hidden],
        "test": [videos[key] for key in split["test_keys"]],
    }


def num_splits(data: DataConfig, data_dir: str | os.PathLike | None = None) -> int:
    """How many splits there are."""
    from gpsattn_jax.data.videos.split_files import read_splits

    return len(read_splits(_find(data.splits, data_dir)))


def network_inputs(videos: Sequence[Video], data: DataConfig) -> list[Video]:
    """Videos with the features that the network takes."""
    return [transform_video(v, data.transform, data.relative_time) for v in videos]


def file_width(config: Config) -> int:
    """Channels of the features in files, without those that are appended."""
    return config.model.input_size - TIME_CHANNELS * config.data.relative_time


def feature_norms(videos: Sequence[Video]) -> list[float]:
    """The smallest and the largest norm of a time step's features."""
    norms = np.concatenate([np.linalg.norm(v.features, axis=1) for v in videos])
    return [float(norms.min()), float(norms.max())]


def _find(name, data_dir):
    """A path of its own, or one in the folder of data sets."""
    path = pathlib.Path(name).expanduser()
    if path.is_absolute() or path.exists():
        return path
    folder = data_folder(data_dir)
    if folder is None:
        raise FileNotFoundError(f"{path} not found; no folder was named. {ADVICE}")
    return folder / path
