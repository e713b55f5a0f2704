"""A clip of joints to draw with: a made-up person who claps."""

import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.data.skeletons.demo_clips import write_demo_clips
from gpsattn_jax.data.skeletons.layouts import LAYOUTS

LAYOUT = LAYOUTS["coco17"]
FRAMES = 48


@functools.cache
def joints() -> np.ndarray:
    """[T = 48, V = 17, 2]: places around the middle, of unit variance; y upwards."""
    with tempfile.TemporaryDirectory() as folder:
        write_demo_clips(folder, clips=15)
        clip = np.load(sorted(pathlib.Path(folder).glob("clap_*.npy"))[0])
    found = clip[np.linspace(0, len(clip) - 1, FRAMES).astype(int)]
    found = (found - found.mean((0, 1))) / found.std()
    return (found * [1, -1]).astype(np.float32)


def joints_over_time() -> jax.Array:
    """[T = 48, D = 34]: how each joint is off its own mean place, frame by frame."""
    moves = joints() - joints().mean(0)
    return jnp.asarray(moves.reshape(FRAMES, -1) / moves.std())
