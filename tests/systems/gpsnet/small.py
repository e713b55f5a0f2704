"""A tiny GPS-Net run on random clips of a small skeleton, for tests."""

import csv
import dataclasses
import functools
import json
import pathlib
import tempfile

import numpy as np

from gpsattn_jax.data.skeletons.join import join_clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.data.skeletons.load import DataConfig
from gpsattn_jax.models import gpsnet as models
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.training.config import TrainConfig

LAYOUT = Layout(
    "chain6",
    ("hip", "chest", "head", "hand", "knee", "foot"),
    ((0, 1), (1, 2), (1, 3), (0, 4), (4, 5)),
    root=0,
    anchors=(0, 2, 3, 5),
)
CLASSES = ("nod", "step", "wave")
FRAMES = 8
_FOLDER = tempfile.TemporaryDirectory()  # it goes when the tests end


def make_clips(folder, count=24, dimensions=2):
    """A folder of clips as a user has it: even ones to train on, odd ones to test."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    layout = folder / "chain6.json"
    layout.write_text(json.dumps(dataclasses.asdict(LAYOUT)))
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("name", "label", "split"))
        for n in range(count):
            length = int(draw.integers(5, 30))
            joints = draw.normal(size=(length, LAYOUT.num_joints, dimensions))
            joints[:, n % 3 + 2] += np.sin(np.arange(length))[:, None]
            np.save(folder / f"clip{n:02}.npy", joints.astype(np.float32))
            label = CLASSES[n % 3]
            table.writerow((f"clip{n:02}", label, ("train", "test")[n // 3 % 2]))
    return layout


def config(folder, layout):
    """Two blocks of eight channels."""
    return gpsnet.Config(
        model=models.Config(widths=(8, 8), strides=(2, 1), num_heads=2),
        data=DataConfig(
            name="folder", path=str(folder), layout=str(layout), num_frames=FRAMES
        ),
        train=TrainConfig(
            num_steps=2, batch_size=4, warmup_steps=1, evaluate_every=2, log_every=1
        ),
    )


@functools.cache
def train_once():
    """The workdir of a run of two steps, trained once for all tests."""
    folder = pathlib.Path(_FOLDER.name)
    layout = make_clips(folder / "clips")
    gpsnet.train(config(folder / "clips", layout), folder / "run")
    return folder / "run"


def clips(arrays):
    """Arrays [T, M, V, C] as clips without labels."""
    count = len(arrays)
    return join_clips(
        arrays,
        labels=[0] * count,
        names=[f"clip {n}" for n in range(count)],
        class_names=CLASSES,
        layout=LAYOUT,
    )
