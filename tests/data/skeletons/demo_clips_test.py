"""Made-up actions: read back whole, the same from the same seed, moving as they say."""

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_folder
from gpsattn_jax.data.skeletons.demo_clips import (
    ACTIONS,
    FPS,
    LAYOUT,
    demo_sequence,
    write_demo_clips,
)
from gpsattn_jax.data.skeletons.layouts import LAYOUTS

JOINTS = LAYOUTS[LAYOUT].joints
SIDES = "left", "right"


def _seen(action, joint, axis):
    """How far a joint moves within a clip, in heights of the body; many seeds."""
    found = []
    for seed in range(10):
        clip, _ = demo_sequence([action], seed=seed)
        height = np.ptp(clip[..., 1], axis=1).max()
        found.append(np.ptp(clip[:, JOINTS.index(joint), axis]) / height)
    return min(found), max(found)


def test_a_folder_reads_back(tmp_path):
    folder = write_demo_clips(tmp_path / "clips", clips=32, seed=1)
    clips, splits = read_folder(folder, LAYOUTS[LAYOUT])
    assert clips.class_names == tuple(sorted(ACTIONS))
    assert clips.joints.shape[1:] == (1, 17, 2) and clips.mask.all()
    assert [len(splits[name]) for name in ("train", "test")] == [22, 10]
    for places in splits.values():
        assert set(clips.labels[places]) == set(range(len(ACTIONS)))
    assert len({*np.diff(clips.offsets)}) > 10  # lengths differ


def test_seeds(tmp_path):
    tables = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        folder = write_demo_clips(tmp_path / name, clips=15, seed=seed)
        files = sorted(folder.iterdir())
        assert {path.suffix for path in files} == {".npy", ".csv"}  # nothing is left
        tables.append([path.read_bytes() for path in files])
    assert tables[0] == tables[1] != tables[2]
    write_demo_clips(tmp_path / "c", clips=15, seed=3)  # over the old ones
    assert [p.read_bytes() for p in sorted((tmp_path / "c").iterdir())] == tables[0]


@pytest.mark.parametrize(
    ("action", "moving", "still"),
    [
        ("clap", "left_wrist", "left_ankle"),
        ("jump", "left_ankle", None),
        ("squat", "nose", "left_ankle"),
        ("wave left hand", "left_wrist", "right_wrist"),
        ("wave right hand", "right_wrist", "left_wrist"),
    ],
)
def test_an_action_moves_its_joints(action, moving, still):
    axis = 1 if action in ("jump", "squat") else 0
    least = _seen(action, moving, axis)[0]
    assert least > 0.06
    if still is not None:
        assert _seen(action, still, axis)[1] < 0.8 * least


def test_left_is_to_the_right_and_down_is_positive():
    clip, _ = demo_sequence(["squat"], seed=5)
    shoulders = (clip[:, JOINTS.index(f"{side}_shoulder"), 0] for side in SIDES)
    assert np.greater(*shoulders).all()
    nose, ankle = (clip[:, JOINTS.index(name), 1] for name in ("nose", "left_ankle"))
    assert (ankle > nose).all()


def test_one_person_does_all_actions_in_turn():
    clip, ends = demo_sequence(["clap", "jump", "clap"], seconds=4.0, seed=2)
    assert ends[-1] == len(clip)
    assert 0.6 * 12 * FPS < len(clip) < 1.4 * 12 * FPS
    assert clip.dtype == np.float32 and np.isfinite(clip).all()
    # The feet leave the ground while jumping alone.
    ground = [
        np.ptp(part[:, JOINTS.index("left_ankle"), 1])
        for part in np.split(clip, ends[:2])
    ]
    assert ground[1] > 2 * max(ground[0], ground[2])
    # Nobody grows or moves away between two actions.
    heights = np.ptp(clip[..., 1], axis=1)
    assert heights.max() < 1.6 * heights.min()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: write_demo_clips(f, clips=14), "clips must be at least 15; got 14"),
        (lambda f: demo_sequence([]), "actions must be among clap, jump"),
        (lambda f: demo_sequence(["fly"]), "got .'fly'."),
        (
            lambda f: demo_sequence(["clap"], seconds=0),
            "seconds must hold a few frames",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, call, message):
    with pytest.raises(ValueError, match=message):
        call(tmp_path / "clips")
    assert not list(tmp_path.iterdir())


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "mine.npy").write_bytes(b"precious")
    with pytest.raises(ValueError, match="must hold no other files; got mine.npy"):
        write_demo_clips(tmp_path, clips=15)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npy"]
