"""Made-up videos as the community's HDF5 files hold them, and splits of them."""

import json

import numpy as np

from gpsattn_jax.data.videos.videos import Video

EVERY = 15  # frames from one time step to the next


def annotated(number, steps=9, channels=16, shots=4, seed=0):
    """A video whose first channel says what its people chose."""
    draw = np.random.default_rng((seed, number))
    features = draw.standard_normal((steps, channels))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    frames = steps * EVERY - 4  # the last step is short
    bounds = np.linspace(0, frames, shots + 1).astype(int)
    chosen = np.repeat(features[:, 0], EVERY)[:frames] > draw.normal(0, 0.1, (3, 1))
    return Video(
        name=f"video_{number}",
        features=features.astype(np.float32),
        picks=np.arange(steps) * EVERY,
        num_frames=frames,
        target=chosen[:, ::EVERY].mean(0).astype(np.float32),
        shots=np.stack([bounds[:-1], bounds[1:] - 1], 1),
        summaries=chosen.astype(np.uint8),
        title=f"Film {number}",
    )


def write_splits(path, splits):
    """Splits, each a pair (training keys, test keys), as numbers of videos."""
    names = [[[f"video_{n}" for n in side] for side in pair] for pair in splits]
    found = [{"train_keys": train, "test_keys": test} for train, test in names]
    path.write_text(json.dumps(found))
    return path
