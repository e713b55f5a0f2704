"""Plain classifiers of joint sequences, from scikit-learn: the rows beside ours."""

from collections.abc import Sequence

import numpy as np

from gpsattn_jax.progress import with_progress

NAMES = "majority class", "1-nearest neighbour", "linear SVM", "RBF SVM"


def sequence_vectors(
    clips: Sequence[np.ndarray], root: int, *, frames: int = 16
) -> np.ndarray:
    """One vector for each clip: its joints at evenly spaced times.

    A clip is moved so that its first root is the origin, divided by the mean distance
    (root of the mean square) of its joints from the root of their frame, and resampled
    to `frames` frames by straight lines between the frames that show a joint. Missing
    joints are NaN or all zero; one that no frame shows stays at the origin.

    Args:
        clips: n arrays [T, V, C] of one person, T of any length, V and C common.
        root: the joint in the middle.
        frames: F.

    Returns:
        [n, F * V * C] float64.

    Raises:
        ValueError: names the clip or argument, and what it must be.
    """
    if not clips:
        raise ValueError("clips must hold at least one clip; got none.")
    if frames < 1:
        raise ValueError(f"frames must be at least 1; got {frames}.")
    joints = np.shape(clips[0])[1:]
    if len(joints) != 2 or not 0 <= root < joints[0]:
        raise ValueError(
            f"clips must be [T, V, C] with V above root={root}; "
            f"got {np.shape(clips[0])}."
        )
    rows = np.empty((len(clips), frames * joints[0] * joints[1]))
    for place, clip in enumerate(clips):
        clip = np.asarray(clip, float)
        if clip.shape != (max(1, len(clip)), *joints):
            raise ValueError(
                f"clips[{place}] must be [T, V={joints[0]}, C={joints[1]}], T >= 1; "
                f"got {clip.shape}."
            )
        rows[place] = _vector(clip, root, frames)
    return rows


def _vector(clip, root, frames):
    visible = np.isfinite(clip).all(-1) & (clip != 0).any(-1)
    rooted = np.flatnonzero(visible[:, root])
    if not len(rooted):  # nothing to measure from: the mean of the visible serves
        origin = clip[visible].mean(0) if visible.any() else np.zeros(clip.shape[-1])
        around = np.broadcast_to(origin, clip[:, root].shape)
    else:
        origin, around = clip[rooted[0], root], clip[:, root]
    apart = np.square(clip - around[:, None]).sum(-1)[visible]
    apart = apart[np.isfinite(apart)]  # frames without their root
    size = np.sqrt(apart.mean()) if apart.any() else 1.0
    times = np.linspace(0, len(clip) - 1, frames)
    found = np.zeros((frames, *clip.shape[1:]))
    for joint in np.flatnonzero(visible.any(0)):
        known = np.flatnonzero(visible[:, joint])
        for axis in range(clip.shape[-1]):
            line = clip[known, joint, axis] - origin[axis]
            found[:, joint, axis] = np.interp(times, known, line)
    return (found / size).ravel()


def sequence_baselines(
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
) -> dict[str, float]:
    """Accuracy of four plain classifiers that see the same vectors.

    The training vectors' mean is taken off, and all features are divided by one number,
    their common standard deviation: so a hand that moves much counts for more than a
    hip that hardly moves. Nothing is chosen on the test clips.

    Args:
        train: [n, features], as `sequence_vectors` makes them.
        train_labels: [n] classes.
        test: [m, features].
        test_labels: [m].

    Returns:
        {name: accuracy in 0..1}, by rising effort: the commonest class, 1-nearest
        neighbour, support vector machines, linear (C = 1) and with a Gaussian kernel
        (C = 10, scikit-learn's width), one against one.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, or the training labels
            are all the same.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    train, train_labels = _check("train", train, train_labels)
    test, test_labels = _check("test", test, test_labels)
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"test must be [m, features={train.shape[1]}]; got {test.shape}."
        )
    if len(np.unique(train_labels)) < 2:
        raise ValueError("train_labels must hold at least 2 classes; got 1.")
    mean = train.mean(0)
    known, asked = train - mean, test - mean
    scale = known.std() or 1.0
    models = (
        DummyClassifier(),
        KNeighborsClassifier(1),
        SVC(kernel="linear"),
        SVC(C=10.0),
    )
    rows = zip(NAMES, models, strict=True)
    return {
        name: float(
            model.fit(known / scale, train_labels).score(asked / scale, test_labels)
        )
        for name, model in with_progress(rows, len(models), "Baselines")
    }


def _check(name, vectors, labels):
    vectors, labels = np.asarray(vectors, float), np.asarray(labels)
    if vectors.ndim != 2 or not vectors.size or labels.shape != vectors.shape[:1]:
        raise ValueError(
            f"{name} and {name}_labels must be [n, features] and [n], n >= 1; "
            f"got {vectors.shape} and {labels.shape}."
        )
    if not np.isfinite(vectors).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity.")
    return vectors, labels
