"""Videos' features from HDF5: both layouts, and every complaint by name."""

import dataclasses
import re

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="needs h5py (extra: data)")

from gpsattn_jax.data.videos.feature_files import (  # noqa: E402
    read_videos,
    write_videos,
)
from gpsattn_jax.data.videos.split_files import check_split, read_splits  # noqa: E402
from tests.data.videos.annotated_videos import annotated  # noqa: E402

VIDEOS = [annotated(10, 5), annotated(9, 8)]


@pytest.fixture
def path(tmp_path):
    """A file of two videos."""
    path = tmp_path / "videos.h5"
    write_videos(path, VIDEOS, {"extractor": "made"})
    return path


def change(path, **arrays):
    """Replaces arrays of video_9; None takes one away."""
    with h5py.File(path, "a") as file:
        for name, array in arrays.items():
            if name in file["video_9"]:
                del file["video_9"][name]
            if array is not None:
                file["video_9"][name] = array


def test_what_is_written_is_read_in_order_of_numbers(path):
    videos, attributes = read_videos(path)
    assert attributes == {"extractor": "made"}
    assert list(videos) == ["video_9", "video_10"]
    for video in VIDEOS:
        found = dataclasses.asdict(videos[video.name])
        for name, expected in dataclasses.asdict(video).items():
            np.testing.assert_array_equal(found[name], expected, err_msg=name)
        assert found["features"].dtype == found["target"].dtype == np.float32


def test_annotations_may_be_absent_and_others_are_ignored(path):
    names = ("gtscore", "change_points", "user_summary")
    change(path, **dict.fromkeys(names), nonsense=np.array(["text"], dtype="S4"))
    video = read_videos(path)[0]["video_9"]
    assert video.target is video.shots is video.summaries is None


def test_float_positions_and_booleans(path):
    chosen = VIDEOS[1].summaries > 0
    change(path, picks=VIDEOS[1].picks.astype(float), user_summary=chosen)
    video = read_videos(path)[0]["video_9"]
    assert video.picks.dtype == np.int64
    np.testing.assert_array_equal(video.summaries, chosen)


STEPS = 8  # of video_9, 116 frames


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"features": None}, "must have features; it has change_points, gtscore, "),
        ({"picks": None}, "must have picks; it has"),
        ({"n_frames": None}, "must have n_frames; it has"),
        ({"features": np.full((STEPS, 4), np.nan)}, "/features must be finite; got"),
        ({"features": np.zeros(STEPS)}, "/features must be numbers [T C]; got float64"),
        ({"features": np.zeros((0, 4))}, "/features must be [T, C], T at least 1; got"),
        ({"picks": np.arange(7)}, "/picks must be 8 rising frames, from 0 to n_frames"),
        ({"picks": np.zeros(STEPS)}, "/picks must be 8 rising frames"),
        ({"picks": np.arange(STEPS) - 1}, "116 - 1; got 8: -1 to 6."),
        ({"picks": np.arange(STEPS) * 17}, "116 - 1; got 8: 0 to 119."),
        ({"gtscore": np.zeros(7)}, "/gtscore must be [T=8]; got (7,)."),
        ({"gtscore": np.arange(8.0)}, "/gtscore must be in 0..1; got 0 to 7."),
        ({"gtscore": np.full(8, np.inf)}, "/gtscore must be finite"),
        ({"gtscore": "high"}, "/gtscore must be numbers [T]; got text ()"),
        ({"change_points": [[0, 9], [8, 99]]}, "/change_points must be rising [S, 2]"),
        ({"change_points": [[9, 0]]}, "/change_points must be rising [S, 2] bounds"),
        ({"change_points": np.zeros((0, 2))}, "/change_points must be rising [S, 2]"),
        ({"change_points": [[0, 117]]}, "within n_frames=116; got a shot to 117."),
        ({"user_summary": np.zeros(9)}, "/user_summary must be numbers [U n]"),
        ({"user_summary": np.zeros((0, 9))}, "/user_summary must be one row for each"),
    ],
)
def test_a_complaint_names_file_video_and_key(path, arrays, message):
    change(path, **arrays)
    pattern = re.escape(f"{path}: video_9") + ".*" + re.escape(message)
    with pytest.raises(ValueError, match=pattern):
        read_videos(path)


def test_an_array_instead_of_a_video(path):
    with h5py.File(path, "a") as file:
        file["version"] = 3
    with pytest.raises(ValueError, match=": version must be a group of arrays"):
        read_videos(path)


def test_files_that_are_none(tmp_path):
    path = tmp_path / "a.h5"
    with pytest.raises(FileNotFoundError, match="a.h5: no such file of video features"):
        read_videos(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="a.h5: not a readable HDF5 file"):
        read_videos(path)
    h5py.File(path, "w").close()
    with pytest.raises(ValueError, match="a.h5: there is no video in it"):
        read_videos(path)
    with pytest.raises(ValueError, match="layout must be one of steps, shots; got 'x'"):
        read_videos(path, "x")


# A shot as a time step.


@pytest.fixture
def shots(path):
    """The same file with features of shots."""
    for video in VIDEOS:
        lengths = video.shots[:, 1] - video.shots[:, 0] + 1
        with h5py.File(path, "a") as file:
            file[video.name]["hist_shot_lengths"] = lengths
            file[video.name]["hist_shot_features"] = np.eye(len(lengths), 6)
    return path


def test_shots_as_steps(shots):
    video = read_videos(shots, "shots")[0]["video_9"]
    steps = VIDEOS[1]
    assert video.features.shape == (4, 6)
    np.testing.assert_array_equal(video.picks, steps.shots[:, 0])
    scores = np.repeat(steps.target, 15)[: steps.num_frames]
    means = [scores[a : b + 1].mean() for a, b in steps.shots]
    np.testing.assert_allclose(video.target, means, rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"hist_shot_features": None}, "must have hist_shot_features"),
        ({"hist_shot_lengths": None}, "must have hist_shot_lengths"),
        ({"hist_shot_lengths": [29] * 3}, "hist_shot_lengths must be 4 numbers of fr"),
        ({"hist_shot_lengths": [29, 0, 29, 9]}, "must be 4 numbers of frames; got"),
        ({"hist_shot_lengths": [50] * 4}, "within n_frames=116; got 200 frames"),
        ({"gtscore": np.zeros(7)}, "gtscore must be [T=8]; got (7,)."),
    ],
)
def test_shots_that_do_not_fit(shots, arrays, message):
    change(shots, **arrays)
    with pytest.raises(ValueError, match=r"video_9.*" + re.escape(message)):
        read_videos(shots, "shots")


# Users' choices, shots and features alone, as they come.


N = 116  # frames of video_9


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((N, 3)), "[U, n_frames=116]; got (116, 3) (transposed)."),
        (np.zeros((3, N - 30)), "[U, n_frames=116]; got (3, 86)."),
        (np.zeros((3, N + 1)), "[U, n_frames=116]; got (3, 117)."),
        (np.full((3, N), 0.5), "must be 0 or 1 for each frame; got 0.5 to 0.5."),
    ],
)
def test_users_summaries_of_another_shape_are_found_at_load(path, array, message):
    change(path, user_summary=array)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_videos(path)
    assert str(error.value).startswith(f"{path}: video_9/user_summary must be ")


def test_users_scores_of_another_length_are_found_at_load(path):
    change(path, user_anno=np.ones((3, N - 30)))
    with pytest.raises(ValueError, match=r"video_9/user_anno must be .*got \(3, 86\)"):
        read_videos(path)


@pytest.mark.parametrize("lengths", [None, [40, 76]])
def test_exclusive_ends_of_shots_are_read_and_said(path, capsys, lengths):
    change(path, change_points=[[0, 40], [40, N]], n_frame_per_seg=lengths)
    shots = read_videos(path)[0]["video_9"].shots
    np.testing.assert_array_equal(shots, [[0, 39], [40, N - 1]])
    assert "1 videos have change_points with exclusive ends" in capsys.readouterr().err


def test_inclusive_ends_are_not_taken_for_exclusive_ones(path, capsys):
    change(path, change_points=[[0, 40], [41, N - 1]], n_frame_per_seg=[41, 75])
    shots = read_videos(path)[0]["video_9"].shots
    np.testing.assert_array_equal(shots, [[0, 40], [41, N - 1]])
    assert capsys.readouterr().err == ""


def test_shots_that_overlap_by_their_stated_lengths_are_refused(path):
    """Their lengths say that the ends are inclusive."""
    change(path, change_points=[[0, 40], [40, N - 1]], n_frame_per_seg=[41, 76])
    with pytest.raises(ValueError, match="change_points must be rising"):
        read_videos(path)


def keep_features_alone(path):
    with h5py.File(path, "a") as file:
        for group in file.values():
            for name in set(group) - {"features"}:
                del group[name]


def test_features_alone_are_read_where_nothing_else_is_needed(path, capsys):
    keep_features_alone(path)
    with pytest.raises(ValueError, match="video_9 must have n_frames; it has features"):
        read_videos(path)
    video = read_videos(path, features_alone=True)[0]["video_9"]
    np.testing.assert_array_equal(video.picks, np.arange(8))
    assert video.num_frames == 8 and video.shots is None
    assert "their places are time steps" in capsys.readouterr().err


def test_a_video_that_lacks_its_places_alone_is_no_case_of_it(path):
    change(path, picks=None)
    with pytest.raises(ValueError, match="video_9 must have picks; it has"):
        read_videos(path, features_alone=True)


# What does not fit is listed, or left out.


@pytest.fixture
def many(tmp_path):
    """Fourteen videos, twelve of them bad in two ways."""
    path = tmp_path / "many.h5"
    write_videos(path, [annotated(n, 5) for n in range(14)], {})
    with h5py.File(path, "a") as file:
        for n in range(12):
            name = "picks" if n % 3 else "gtscore"
            del file[f"video_{n}"][name]
            file[f"video_{n}"][name] = np.full(5, 7.0)
    return path


def test_all_bad_videos_are_listed_at_once(many):
    with pytest.raises(ValueError) as error:
        read_videos(many)
    lines = str(error.value).splitlines()
    assert lines[0] == f"{many}: 12 of 14 videos do not fit:"
    assert len(lines) == 14 and "video_9/gtscore must be in 0..1" in lines[10]
    assert lines[11:] == [
        "  and 2 more.",
        "  By field: gtscore 4, picks 8.",
        "  data.skip_bad leaves them out.",
    ]


def test_bad_videos_are_left_out_and_counted(many, capsys):
    videos, _ = read_videos(many, skip_bad=True)
    assert list(videos) == ["video_12", "video_13"]
    assert "12 of 14 videos do not fit" in capsys.readouterr().err


def test_nothing_left_is_an_error(path):
    change(path, picks=None)
    with h5py.File(path, "a") as file:
        del file["video_10"]
    with pytest.raises(ValueError, match="video_9 must have picks"):
        read_videos(path, skip_bad=True)


# What is at hand.


@pytest.mark.parametrize("name, count", [("summe", 25), ("tvsum", 50)])
def test_real_annotations(data_dir, name, count):
    folder = data_dir / "vsum"
    videos, _ = read_videos(folder / f"{name}.h5", "shots")
    assert len(videos) == count
    for video in videos.values():
        assert video.features.shape == (len(video.target), 96)
        assert video.target.min() >= 0 and video.target.max() <= 1
        assert video.picks[0] == 0 and video.picks[-1] < video.num_frames
    files = sorted((folder / "splits").glob(f"{name}*.json"))
    assert len(files) == 4
    for path in files:
        splits = read_splits(path)
        assert len(splits) == 5
        for split in splits:
            check_split(split, videos, str(path))


def test_real_files_without_features_of_steps(data_dir):
    """They were not published; the complaint says what there is instead."""
    with pytest.raises(ValueError, match="must have features; it has .*gtscore"):
        read_videos(data_dir / "vsum" / "summe.h5")


def test_real_annotations_by_steps(data_dir, tmp_path):
    """With made-up features: targets are the users' own, as published."""
    with h5py.File(data_dir / "vsum" / "summe.h5") as file:
        name = sorted(file)[0]
        with h5py.File(tmp_path / "a.h5", "w") as copy:
            file.copy(name, copy)
            steps = len(file[name]["picks"])
            copy[name]["features"] = np.ones((steps, 4))
    video = read_videos(tmp_path / "a.h5")[0][name]
    assert len(video) == steps and video.shots is not None
    mean = video.summaries[:, video.picks].mean(0)
    np.testing.assert_allclose(video.target, mean, atol=1e-6)
