"""Features and annotations of videos in the community's HDF5 layout.

A group for each video: `features` [T, C], `gtscore` [T], `picks` [T], `n_frames`,
`change_points` [S, 2], `user_summary` [U, n_frames]; what is needed depends on the use.
"""

import os
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import h5py

from gpsattn_jax.data.videos.feature_fields import LAYOUTS, read_fields
from gpsattn_jax.data.videos.feature_groups import (
    FeatureGroup,
    FieldError,
    read_attributes,
)
from gpsattn_jax.data.videos.hdf5_heaps import check_heaps
from gpsattn_jax.data.videos.split_files import check_split, read_splits
from gpsattn_jax.data.videos.videos import Video, by_number
from gpsattn_jax.files import replaced
from gpsattn_jax.reader_errors import check_file, readable

__all__ = ["LAYOUTS", "check_split", "read_splits", "read_videos", "write_videos"]

_LISTED = 10  # problems in a message


def read_videos(
    path: str | os.PathLike,
    layout: str = "steps",
    *,
    features_alone: bool = False,
    skip_bad: bool = False,
) -> tuple[dict[str, Video], dict[str, Any]]:
    """Reads all videos of a file, in order of their numbers.

    Shots whose last frames are the next one's first (exclusive ends) are read as such,
    with a line on standard error.

    Args:
        path: an HDF5 file of the community's layout.
        layout: "steps": `features` with `gtscore` at `picks`; "shots": a shot is one
            time step, with `hist_shot_features` and `hist_shot_lengths`, and its target
            is the mean score of its frames.
        features_alone: takes videos of which there is nothing else, too: places are
            then steps, said on standard error.
        skip_bad: leaves out videos that do not fit, with a line on standard error,
            instead of refusing the file.

    Returns:
        (videos by key, attributes of the file: those that `write_videos` wrote).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names the video and the key that is missing or does not fit, of all
            such videos; or no video is left.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}.")
    path = pathlib.Path(path)
    check_file(path, "video features")
    check_heaps(path)
    videos: dict[str, Video] = {}
    problems: list[FieldError] = []
    notes: dict[str, list[str]] = {}
    with readable(path, "HDF5 file"), h5py.File(path) as file:
        keys = sorted(file, key=by_number)
        attributes = read_attributes(path, file)
        for key in keys:
            try:
                group = FeatureGroup(path, file, key)
                videos[key] = read_fields(group, layout, features_alone, notes)
            except FieldError as error:
                problems.append(error)
            except ValueError as error:  # damaged: of readable
                problems.append(FieldError(str(error), "not readable"))
    _report(path, problems, len(keys), skip_bad)
    if not videos:
        raise ValueError(f"{path}: there is no video in it.")
    for note, keys in notes.items():
        print(f"{path}: {len(keys)} videos have {note}.", file=sys.stderr)
    return videos, attributes


def _report(path, problems, count, skip_bad):
    """Raises, or prints, what does not fit: the first ten, and how many by field."""
    if not problems:
        return
    if len(problems) == 1 and not (skip_bad and count > 1):
        raise problems[0]
    fields: dict[str, int] = {}
    for problem in problems:
        fields[problem.field] = fields.get(problem.field, 0) + 1
    lines = [f"{path}: {len(problems)} of {count} videos do not fit:"]
    lines += [str(p).removeprefix(f"{path}: ") for p in problems[:_LISTED]]
    if len(problems) > _LISTED:
        lines.append(f"and {len(problems) - _LISTED} more.")
    lines.append("By field: " + ", ".join(f"{k} {n}" for k, n in fields.items()) + ".")
    text = "\n  ".join(lines)
    if not skip_bad:
        raise ValueError(f"{text}\n  data.skip_bad leaves them out.")
    if len(problems) == count:
        raise ValueError(text)
    print(f"Left out: {text}", file=sys.stderr)


def write_videos(
    path: str | os.PathLike, videos: Iterable[Video], attributes: Mapping[str, Any]
) -> None:
    """Writes videos for `read_videos`; the file appears whole or not at all.

    Args:
        path: the HDF5 file.
        videos: a group for each, by its name; what is None is left out.
        attributes: of the file, such as `extractor`, which is compared before training.

    Raises:
        OSError: `PATH cannot be written: why`.
        ValueError: if there is no video, or a name cannot be a group's.
    """
    videos = list(videos)
    names = [video.name for video in videos]
    wrong = [name for name in names if "/" in name or name in ("", ".")]
    if not names or wrong or len({*names}) < len(names):
        raise ValueError(
            f"{path} must hold videos of different names without a slash; got "
            f"{', '.join(map(repr, names)) or 'none'}."
        )
    try:
        with replaced(path) as partial, h5py.File(partial, "w") as file:
            file.attrs.update(attributes)
            for video in videos:
                _write_video(file.create_group(video.name), video)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"{path} cannot be written: {why}.") from error


def _write_video(group, video):
    arrays = {
        "features": video.features,
        "picks": video.picks,
        "gtscore": video.target,
        "change_points": video.shots,
        "user_summary": video.summaries,
        "user_anno": video.annotations,
    }
    for name, array in arrays.items():
        if array is not None:
            packed = {"compression": "gzip"} if name.startswith("user") else {}
            group.create_dataset(name, data=array, **packed)
    if video.shots is not None:
        group["n_frame_per_seg"] = video.shots[:, 1] - video.shots[:, 0] + 1
    if video.fps is not None:
        group["fps"] = video.fps
    group["n_frames"], group["n_steps"] = video.num_frames, len(video)
    group["video_name"] = video.title or video.name
