"""Plain classifiers of joint sequences: what their vectors keep, what they reach."""

import warnings

import numpy as np
import pytest

from gpsattn_jax.evaluation.sequence_baselines import (
    sequence_baselines,
    sequence_vectors,
)

draw = np.random.default_rng(0)
CLIP = draw.normal(size=(9, 5, 3)) + 4.0


def test_place_and_size_do_not_matter_but_movement_does():
    one, same, moved = sequence_vectors(
        [CLIP, 2.5 * CLIP + [1.0, -2.0, 3.0], CLIP + np.arange(9.0)[:, None, None]],
        root=2,
    )
    np.testing.assert_allclose(same, one, atol=1e-12)
    assert np.abs(moved - one).max() > 0.1
    np.testing.assert_allclose(one.reshape(16, 5, 3)[0, 2], 0, atol=1e-12)


def test_vectors_are_points_of_the_straight_lines_between_frames():
    steady = np.linspace(1, 9, 9)[:, None, None] * draw.normal(size=(5, 3)) + 1
    long, short = sequence_vectors([steady, steady[::4]], root=0, frames=7)
    # Their sizes are those of other frames, and so differ by a factor.
    factor = (long @ short) / (short @ short)
    np.testing.assert_allclose(long, factor * short, atol=1e-9)


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_missing_joints_are_filled_from_the_frames_around(missing):
    still = np.repeat(CLIP[:1], 9, 0)
    holes = still.copy()
    holes[3:5, 1] = missing  # a while
    holes[:2, 4] = missing  # the beginning
    holes[5, 0] = missing  # the root
    whole, filled = sequence_vectors([still, holes], root=0, frames=9)
    # The size is that of the frames that are seen: the same but for its weights.
    filled = filled * (whole @ whole) / (filled @ whole)
    np.testing.assert_allclose(filled, whole, atol=1e-9)


def test_clips_of_one_frame_or_of_nothing_are_vectors_too():
    nothing = np.full((4, 5, 3), np.nan)
    no_root = CLIP.copy()
    no_root[:, 0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = sequence_vectors(
            [CLIP[:1], nothing, np.zeros((4, 5, 3)), no_root], root=0
        )
    assert np.isfinite(rows).all() and rows[0].any() and rows[3].any()
    assert not rows[1].any() and not rows[2].any()


@pytest.mark.parametrize("given, why", [
    ({"clips": []}, "clips must hold at least one"),
    ({"clips": [CLIP[0]]}, r"clips must be \[T, V, C\]"),
    ({"root": 5}, "V above root=5"),
    ({"clips": [CLIP, CLIP[:, :4]]}, r"clips\[1\] must be \[T, V=5, C=3\]"),
    ({"clips": [CLIP, CLIP[:0]]}, r"clips\[1\] must be .* T >= 1"),
    ({"frames": 0}, "frames must be at least 1; got 0"),
])  # fmt: skip
def test_clips_that_fit_nothing_are_refused(given, why):
    with pytest.raises(ValueError, match=why):
        sequence_vectors(**({"clips": [CLIP], "root": 0} | given))


def clusters(count, spread, seed):
    """Three classes around three points, the first one twice as common."""
    random = np.random.default_rng(seed)
    labels = np.tile([0, 0, 1, 2], count)
    points = 3 * np.eye(3, 12)[labels]
    return points + spread * random.normal(size=points.shape), labels


def test_what_is_apart_is_told_apart_and_the_commonest_class_is_half():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    found = sequence_baselines(*clusters(20, 0.3, 1), *clusters(10, 0.3, 2))
    assert found == {
        "majority class": 0.5,
        "1-nearest neighbour": 1.0,
        "linear SVM": 1.0,
        "RBF SVM": 1.0,
    }


def test_labels_without_a_reason_are_not_told():
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    noise = draw.normal(size=(400, 12))
    labels = draw.integers(0, 4, 400)
    found = sequence_baselines(noise[:200], labels[:200], noise[200:], labels[200:])
    assert max(found.values()) < 0.4


@pytest.mark.parametrize("change, why", [
    ({"train": np.zeros((3, 2))}, "train and train_labels must be"),
    ({"test": np.zeros((4, 9))}, r"test must be \[m, features=2\]"),
    ({"test": np.full((4, 2), np.nan)}, "test must be finite"),
    ({"train_labels": np.zeros(4, int)}, "train_labels must hold at least 2 classes"),
])  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(change, why):
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    vectors, labels = np.arange(8.0).reshape(4, 2), np.arange(4)
    given = {"train": vectors, "test": vectors, "test_labels": labels}
    with pytest.raises(ValueError, match=why):
        sequence_baselines(**({"train_labels": labels} | given | change))


def test_the_floor_of_a_real_set(data_dir):
    """Florence3D, its first split: far above the commonest class, as others found."""
    pytest.importorskip("sklearn", reason="needs scikit-learn")
    path = data_dir / "skeletons/florence3d.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as arrays:
        stored = dict(arrays)
    clips = np.split(stored["coords"], stored["offsets"][1:-1])
    rows, labels = sequence_vectors(clips, root=2), stored["labels"]
    known, asked = (
        np.isin(stored["subject"], stored[f"{part}_subjects"][0])
        for part in ("tr", "te")
    )
    found = sequence_baselines(rows[known], labels[known], rows[asked], labels[asked])
    assert max(found.values()) > 0.8 > 0.3 > found["majority class"]
