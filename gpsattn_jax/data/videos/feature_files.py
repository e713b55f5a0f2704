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
import numpy as np

from gpsattn_jax.data.files.reader_errors import check_file, named_errors
from gpsattn_jax.data.videos.feature_groups import (
    FeatureGroup,
    FieldError,
    read_attributes,
)
from gpsattn_jax.data.videos.split_files import check_split, read_splits
from gpsattn_jax.data.videos.videos import Video, by_number
from gpsattn_jax.files import replaced

__all__ = ["LAYOUTS", "check_split", "read_splits", "read_videos", "write_videos"]

_FEATURES = {"steps": "features", "shots": "hist_shot_features"}
LAYOUTS = tuple(_FEATURES)
MOST_FRAMES = 50_000_000  # of a video: two days at 240 a second are 41 million
_LISTED = 10  # problems in a message
_BARE = "features alone: their places are time steps"
_EXCLUSIVE = "change_points with exclusive ends: each shot is read as a frame shorter"
# What is said of frames, so that `picks` and `n_frames` are needed.
_PLACED = {
    "change_points", "gtscore", "hist_shot_lengths", "n_frames", "picks",
    "user_anno", "user_summary",
}  # fmt: skip


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
    videos: dict[str, Video] = {}
    problems: list[FieldError] = []
    notes: dict[str, list[str]] = {_BARE: [], _EXCLUSIVE: []}
    with named_errors(path, what="an HDF5 file"), h5py.File(path) as file:
        keys = sorted(file, key=by_number)
        attributes = read_attributes(path, file)
        for key in keys:
            try:
                group = FeatureGroup(path, file, key)
                videos[key] = _video(group, layout, features_alone, notes)
            except FieldError as error:
                problems.append(error)
            except ValueError as error:  # damaged: of named_errors
                problems.append(FieldError(str(error), "not readable"))
    _report(path, problems, len(keys), skip_bad)
    if not videos:
        raise ValueError(f"{path}: there is no video in it.")
    for note, keys in notes.items():
        if keys:
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


def _video(group, layout, features_alone, notes):
    num_frames = _num_frames(group, features_alone)
    if num_frames is None:
        notes[_BARE].append(group.key)
        return _bare_video(group, layout)
    read = {"steps": _steps, "shots": _shot_steps}[layout]
    features, picks, target = read(group, num_frames)
    fps = group.array("fps", "")
    return Video(
        name=group.key,
        features=features.astype(np.float32),
        picks=picks,
        num_frames=num_frames,
        target=target,
        shots=_shots(group, num_frames, notes),
        summaries=_choices(group, num_frames),
        annotations=_users(group, "user_anno", num_frames),
        title=group.text("title") or group.text("video_name"),
        fps=None if fps is None else float(fps),
    )


def _num_frames(group, features_alone):
    """`n_frames`; None for features alone."""
    if features_alone and not _PLACED & {*group.names()}:
        return None
    number = group.array("n_frames", "", needed=True)
    if not 1 <= number <= MOST_FRAMES or number != int(number):
        expected = f"a whole number in 1..{MOST_FRAMES:,}"
        raise group.wrong("n_frames", expected, number)
    return int(number)


def _bare_video(group, layout):
    """Features without places: each step counts as a frame."""
    features = _features(group, _FEATURES[layout])
    return Video(
        name=group.key,
        features=features.astype(np.float32),
        picks=np.arange(len(features)),
        num_frames=len(features),
        title=group.text("title") or group.text("video_name"),
    )


def _features(group, name):
    features = group.array(name, "T C", needed=True)
    if not features.size:
        raise group.wrong(name, "[T, C], T at least 1", features.shape)
    return features


def _steps(group, num_frames):
    features = _features(group, _FEATURES["steps"])
    picks = _picks(group, len(features), num_frames)
    target = group.array("gtscore", "T")
    if target is not None:
        if len(target) != len(features):
            raise group.wrong("gtscore", f"[T={len(features)}]", target.shape)
        target = _check_scores(group, target)
    return features, picks, target


def _picks(group, count, num_frames):
    picks = group.array("picks", "T", needed=True)
    whole = picks.astype(np.int64)
    fits = len(picks) == count and (whole == picks).all() and (np.diff(whole) > 0).all()
    if not (fits and count and whole[0] >= 0 and whole[-1] < num_frames):
        expected = f"{count} rising frames, from 0 to n_frames={num_frames} - 1"
        raise group.wrong("picks", expected, f"{len(picks)}: {_ends(picks)}")
    return whole


def _shot_steps(group, num_frames):
    features = _features(group, _FEATURES["shots"])
    lengths = group.array("hist_shot_lengths", "S", needed=True).astype(np.int64)
    if len(lengths) != len(features) or not len(lengths) or lengths.min() < 1:
        expected = f"{len(features)} numbers of frames"
        raise group.wrong("hist_shot_lengths", expected, _few(lengths))
    if lengths.max() > num_frames or lengths[:-1].sum() >= num_frames:
        expected = f"shots within n_frames={num_frames}"
        raise group.wrong("hist_shot_lengths", expected, f"{lengths.sum()} frames")
    picks = np.cumsum(lengths) - lengths
    scores = group.array("gtscore", "T")
    if scores is None:
        return features, picks, None
    count = len(group.array("picks", "T", needed=True))
    if count != len(scores):
        raise group.wrong("gtscore", f"[T={count}]", scores.shape)
    ends = np.append(_picks(group, len(scores), num_frames), num_frames)
    frames = np.repeat(_check_scores(group, scores), np.diff(ends))
    bounds = np.append(picks, num_frames)
    target = [frames[a:b].mean() for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
    return features, picks, np.array(target, np.float32)


def _shots(group, num_frames, notes):
    found = group.array("change_points", "S 2")
    if found is None:
        return None
    shots = found.astype(np.int64)
    fits = shots.shape[1:] == (2,) and len(shots) and (shots == found).all()
    if fits and _ends_are_exclusive(group, shots, num_frames):
        shots = shots - [0, 1]
        notes[_EXCLUSIVE].append(group.key)
    ordered = fits and (shots[:, 0] <= shots[:, 1]).all() and shots[0, 0] >= 0
    if not (ordered and (shots[1:, 0] > shots[:-1, 1]).all()):
        raise group.wrong("change_points", "rising [S, 2] bounds", _few(found))
    if shots[-1, 1] >= num_frames:
        expected = f"within n_frames={num_frames}"
        raise group.wrong("change_points", expected, f"a shot to {shots[-1, 1]}")
    return shots


def _ends_are_exclusive(group, shots, num_frames):
    """Whether each shot ends where the next begins, and the last with the video."""
    lengths = shots[:, 1] - shots[:, 0]
    touching = (shots[1:, 0] == shots[:-1, 1]).all() and (lengths > 0).all()
    if not touching or shots[-1, 1] > num_frames:
        return False
    stated = group.array("n_frame_per_seg", "S")
    if stated is not None and stated.shape == lengths.shape:
        return bool((stated == lengths).all())
    return shots[-1, 1] == num_frames or len(shots) > 1


def _users(group, name, num_frames):
    users = group.array(name, "U n")
    if users is None:
        return None
    expected = f"one row for each user, [U, n_frames={num_frames}]"
    if not users.size or users.shape[1] != num_frames:
        turned = users.shape[0] == num_frames and " (transposed)" or ""
        raise group.wrong(name, expected, f"{users.shape}{turned}")
    return users


def _choices(group, num_frames):
    users = _users(group, "user_summary", num_frames)
    if users is not None and not np.isin(users, (0, 1)).all():
        got = f"{users.min():.4g} to {users.max():.4g}"
        raise group.wrong("user_summary", "0 or 1 for each frame", got)
    return users


def _check_scores(group, scores):
    if scores.min() < 0 or scores.max() > 1:
        got = f"{scores.min():.4g} to {scores.max():.4g}"
        raise group.wrong("gtscore", "in 0..1", got)
    return scores.astype(np.float32)


def _few(array):
    """The first rows of an array, for messages."""
    more = ", …" if len(array) > 10 else ""
    return f"{str(array[:10].tolist())[:-1]}{more}]"


def _ends(array):
    return f"{array[0]} to {array[-1]}" if len(array) else "none"
