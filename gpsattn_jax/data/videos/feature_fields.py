"""One video's arrays in the community's layout -> a `Video`, all checked together."""

import numpy as np

from gpsattn_jax.data.videos.feature_groups import FeatureGroup
from gpsattn_jax.data.videos.videos import Video

_FEATURES = {"steps": "features", "shots": "hist_shot_features"}
LAYOUTS = tuple(_FEATURES)
MOST_FRAMES = 50_000_000  # of a video: two days at 240 a second are 41 million

_BARE = "features alone: their places are time steps"
_EXCLUSIVE = "change_points with exclusive ends: each shot is read as a frame shorter"
# What is said of frames, so that `picks` and `n_frames` are needed.
_PLACED = {
    "change_points", "gtscore", "hist_shot_lengths", "n_frames", "picks",
    "user_anno", "user_summary",
}  # fmt: skip


def read_fields(
    group: FeatureGroup, layout: str, features_alone: bool, notes: dict[str, list[str]]
) -> Video:
    """A video of its arrays, checked against each other.

    Args:
        group: the arrays.
        layout: one of `LAYOUTS`.
        features_alone: takes a video of which there is nothing else, too.
        notes: {what was taken otherwise than it stands there: videos}, added to.

    Raises:
        FieldError: names the field that is missing or does not fit.
    """
    num_frames = _num_frames(group, features_alone)
    if num_frames is None:
        notes.setdefault(_BARE, []).append(group.key)
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
        notes.setdefault(_EXCLUSIVE, []).append(group.key)
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
