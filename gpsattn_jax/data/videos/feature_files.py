"""Features and annotations of videos in the community's HDF5 layout, and splits.

A group for each video: `features` [T, C], `gtscore` [T], `picks` [T], `n_frames`,
`change_points` [S, 2], `user_summary` [U, n_frames]; what is needed depends on the use.
"""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np

from gpsattn_jax.data.videos.videos import Video, by_number
from gpsattn_jax.files import replaced

LAYOUTS = ("steps", "shots")


def read_videos(
    path: str | os.PathLike, layout: str = "steps"
) -> tuple[dict[str, Video], dict[str, Any]]:
    """Reads all videos of a file, in order of their numbers.

    Args:
        path: an HDF5 file of the community's layout.
        layout: "steps": `features` with `gtscore` at `picks`; "shots": a shot is one
            time step, with `hist_shot_features` and `hist_shot_lengths`, and its target
            is the mean score of its frames.

    Returns:
        (videos by key, attributes of the file: those that `write_videos` wrote).

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names the video and the key that is missing or does not fit.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}; got {layout!r}.")
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of video features.")
    try:
        with h5py.File(path) as file:
            keys = sorted(file, key=by_number)
            videos = {key: _video(_Group(path, key, file[key]), layout) for key in keys}
            attributes = dict(file.attrs)
    except OSError as error:
        raise ValueError(f"{path}: not a readable HDF5 file: {error}") from error
    if not videos:
        raise ValueError(f"{path}: there is no video in it.")
    return videos, attributes


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


def read_splits(path: str | os.PathLike) -> list[dict[str, list[str]]]:
    """A JSON list of {"train_keys": [...], "test_keys": [...]}.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names what is wrong in it.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of splits.")
    try:
        splits = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from error
    if not isinstance(splits, list) or not splits:
        raise ValueError(f"{path}: must be a list of splits; got {type(splits)}.")
    for number, split in enumerate(splits):
        for name in ("train_keys", "test_keys"):
            keys = split.get(name) if isinstance(split, Mapping) else None
            if not isinstance(keys, list) or not keys:
                raise ValueError(
                    f"{path}: split {number} must have {name}, a list of videos; "
                    f"got {keys!r}."
                )
    return splits


def check_split(
    split: Mapping[str, list[str]], videos: Mapping[str, Video], where: str
) -> None:
    """Raises ValueError naming videos of a split that are absent or on both sides."""
    absent = sorted(
        {*split["train_keys"], *split["test_keys"]} - videos.keys(), key=by_number
    )
    if absent:
        raise ValueError(
            f"{where} must name videos that are there; it names {', '.join(absent)}."
        )
    both = sorted({*split["train_keys"]} & {*split["test_keys"]}, key=by_number)
    if both:
        raise ValueError(
            f"{where} must not train on what it tests; both have {', '.join(both)}."
        )


class _Group:
    """A video's arrays, with errors that name file, video and key."""

    def __init__(self, path: pathlib.Path, key: str, group: Any):
        self.where, self.key, self._group = f"{path}: {key}", key, group
        if not isinstance(group, h5py.Group):
            raise ValueError(f"{self.where} must be a group of arrays.")

    def array(self, name: str, axes: str, *, needed: bool = False) -> Any:
        """The array, or None; `axes` as "T C"."""
        if name not in self._group:
            if needed:
                there = ", ".join(sorted(self._group)) or "nothing"
                raise ValueError(f"{self.where} must have {name}; it has {there}.")
            return None
        array = np.asarray(self._group[name][()])
        if array.dtype.kind not in "fiub" or array.ndim != len(axes.split()):
            raise self.wrong(name, f"numbers [{axes}]", f"{array.dtype} {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise self.wrong(name, "finite", "NaN or infinity")
        return array

    def text(self, name: str) -> str:
        value = self._group[name][()] if name in self._group else ""
        value = value.ravel()[0] if isinstance(value, np.ndarray) else value
        return (
            value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        )

    def wrong(self, name: str, expected: str, got: Any) -> ValueError:
        return ValueError(f"{self.where}/{name} must be {expected}; got {got}.")


def _video(group, layout):
    num_frames = int(group.array("n_frames", "", needed=True))
    read = {"steps": _steps, "shots": _shot_steps}[layout]
    features, picks, target = read(group, num_frames)
    fps = group.array("fps", "")
    return Video(
        name=group.key,
        features=features.astype(np.float32),
        picks=picks,
        num_frames=num_frames,
        target=target,
        shots=_shots(group, num_frames),
        summaries=_users(group, "user_summary"),
        annotations=_users(group, "user_anno"),
        title=group.text("title") or group.text("video_name"),
        fps=None if fps is None else float(fps),
    )


def _steps(group, num_frames):
    features = group.array("features", "T C", needed=True)
    count = len(features)
    if not count:
        raise group.wrong("features", "[T, C], T at least 1", features.shape)
    picks = group.array("picks", "T", needed=True).astype(np.int64)
    fits = len(picks) == count and (np.diff(picks) > 0).all()
    if not (fits and picks[0] >= 0 and picks[-1] < num_frames):
        expected = f"{count} rising frames, from 0 to n_frames={num_frames} - 1"
        raise group.wrong("picks", expected, f"{len(picks)}: {_ends(picks)}")
    target = group.array("gtscore", "T")
    if target is not None:
        if len(target) != count:
            raise group.wrong("gtscore", f"[T={count}]", target.shape)
        target = _checked_scores(group, target)
    return features, picks, target


def _shot_steps(group, num_frames):
    features = group.array("hist_shot_features", "S C", needed=True)
    lengths = group.array("hist_shot_lengths", "S", needed=True).astype(np.int64)
    if len(lengths) != len(features) or not len(lengths) or lengths.min() < 1:
        expected = f"{len(features)} numbers of frames"
        raise group.wrong("hist_shot_lengths", expected, lengths)
    picks = np.cumsum(lengths) - lengths
    if picks[-1] >= num_frames:
        expected = f"shots within n_frames={num_frames}"
        raise group.wrong("hist_shot_lengths", expected, f"{lengths.sum()} frames")
    scores = group.array("gtscore", "T")
    if scores is None:
        return features, picks, None
    steps = group.array("picks", "T", needed=True).astype(np.int64)
    if len(steps) != len(scores):
        raise group.wrong("gtscore", f"[T={len(steps)}]", scores.shape)
    ends = np.append(steps, num_frames)
    frames = np.repeat(_checked_scores(group, scores), np.diff(ends))
    bounds = np.append(picks, num_frames)
    target = [frames[a:b].mean() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return features, picks, np.array(target, np.float32)


def _shots(group, num_frames):
    shots = group.array("change_points", "S 2")
    if shots is None:
        return None
    shots = shots.astype(np.int64)
    ordered = (
        shots.shape[1:] == (2,) and len(shots) and (shots[:, 0] <= shots[:, 1]).all()
    )
    if not (ordered and (shots[1:, 0] > shots[:-1, 1]).all() and shots[0, 0] >= 0):
        raise group.wrong("change_points", "rising [S, 2] bounds", shots.tolist())
    if shots[-1, 1] >= num_frames:
        expected = f"within n_frames={num_frames}"
        raise group.wrong("change_points", expected, f"a shot to {shots[-1, 1]}")
    return shots


def _users(group, name):
    users = group.array(name, "U n")
    if users is not None and not users.size:
        raise group.wrong(name, "one row for each user", users.shape)
    return users


def _checked_scores(group, scores):
    if scores.min() < 0 or scores.max() > 1:
        got = f"{scores.min():.4g} to {scores.max():.4g}"
        raise group.wrong("gtscore", "in 0..1", got)
    return scores.astype(np.float32)


def _ends(array):
    return f"{array[0]} to {array[-1]}" if len(array) else "none"
