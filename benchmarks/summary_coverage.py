"""Does a checkpoint that no person annotated beat the cluster default on other clips?

The measure, stated before any run: of a video whose clips trained nothing, the mean
over its frames of the cosine similarity between a frame's EfficientNet-Lite0 features
and the most similar frame that a summary of 15 % keeps. Shots and choice are those of
`summarize_video`; scorers differ. A checkpoint would be shipped if its mean over the
held-out videos were above the cluster default's by more than seeds differ.

The nine clips of the demo montage make three held-out videos of three clips each; what
trains is made of pieces of the other six.
"""

import dataclasses
import json
import pathlib
import sys

import numpy as np

from benchmarks.summaries.networks import Trainer
from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.data.videos.feature_transforms import unit_length
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.evaluation.representativeness import representativeness
from gpsattn_jax.models import pglsum
from gpsattn_jax.systems.pglsum.setups import PAPER, Config, DataConfig
from gpsattn_jax.systems.video_summary import shots
from gpsattn_jax.systems.video_summary.frame_features import (
    DEFAULT,
    EXTRACTORS,
    RATE,
    extract_features,
)
from gpsattn_jax.systems.video_summary.run import FEWEST

HEAD = ("scores", "held-out video 1", "video 2", "video 3", "mean", "seeds")
MONTAGE = "video/demo_montage.mp4"
BUDGET = 0.15
HELD = 3  # clips of a held-out video
PIECES, LONGEST = 8, 30  # training videos of a fold; steps of a clip's piece
SEEDS = range(2)  # of a network's weights
CHANCES = 20  # random scorings
CONFIG = Config(
    model=pglsum.Config(input_size=1280, hidden_size=64, num_heads=8, local_heads=4),
    data=DataConfig(transform="none", extractor=DEFAULT),
    train=dataclasses.replace(
        PAPER, num_steps=40, batch_size=PIECES, learning_rate=1e-3
    ),
)


def rows(seconds: float):
    """A row for each way to score; of random and trained ones the mean of the seeds."""
    del seconds
    path = (data_folder() or pathlib.Path()) / MONTAGE
    if not path.exists():
        print(f"left out: {path} is not there ($GPSATTN_DATA_DIR)", file=sys.stderr)
        return
    clips = clips_of(path)
    folds = [clips[start::HELD] for start in range(len(clips) // HELD)]
    held = [np.concatenate(fold) for fold in folds]
    yield row("the frames that cover most, chosen one by one", [covered_most(held)])
    for name, score in UNTRAINED.items():
        yield row(name, [[kept(video, score(video)) for video in held]])
    draws = [np.random.default_rng(seed) for seed in range(CHANCES)]
    chance = [[kept(x, draw.random(len(x))) for x in held] for draw in draws]
    yield row("random", chance)
    for name, target in TARGETS.items():
        trainer = trainer_of(folds, target)
        yield row(name, [trained(trainer, folds, seed) for seed in SEEDS])


def row(name, by_seed):
    """Means over seeds for each video; the range of the seeds' own means."""
    means = np.mean(by_seed, axis=1)
    spread = f"{means.min():.3f} to {means.max():.3f}" if np.ptp(means) else "-"
    by_video = [f"{value:.3f}" for value in np.mean(by_seed, axis=0)]
    return (name, *by_video, f"{means.mean():.3f}", spread)


def clips_of(path):
    """Features [T, 1280] of each clip of the montage."""
    sampled = extract_features(path)
    truth = json.loads(path.with_suffix(".json").read_text())
    starts = [part["start"] / truth["fps"] for part in truth["segments"][1:]]
    return np.split(sampled.features, np.searchsorted(sampled.times, starts))


def trainer_of(folds, target):
    """A network's trainer on each fold's held-out video, and pieces of the others."""
    videos = []
    for number, fold in enumerate(folds):
        others = [one for place, one in enumerate(folds) if place != number]
        own = [clip for other in others for clip in other]
        draw = np.random.default_rng(number)
        for name in names_of_training(number):
            features = piece(own, draw)
            videos.append(as_video(name, features, target(features)))
        videos.append(as_video(f"held {number}", np.concatenate(fold)))
    return Trainer(CONFIG, videos)


def names_of_training(number):
    """Of a fold's training videos."""
    return [f"train {number} {place}" for place in range(PIECES)]


def trained(trainer, folds, seed):
    """Coverage of each fold's held-out video, by a network of its training videos."""
    found = []
    for number, fold in enumerate(folds):
        name, steps = f"held {number}", trainer.steps[-1:]
        train = names_of_training(number)
        scores = trainer.scores(train, seed, steps, scored=[name])[-1][name]
        found.append(kept(np.concatenate(fold), scores))
    return found


def piece(clips, draw):
    """Pieces of three clips, joined: as much as the network sees of other videos."""
    parts = []
    for place in draw.choice(len(clips), HELD, replace=False):
        clip = clips[place]
        start = draw.integers(max(1, len(clip) - LONGEST + 1))
        parts.append(clip[start : start + LONGEST])
    return np.concatenate(parts)


def as_video(name, features, target=None):
    """What the trainer takes; steps are frames here."""
    steps = len(features)
    return Video(name, features, np.arange(steps), steps, target=target)


def kept(features, scores):
    """Coverage by the shots that the pipeline chooses by these scores."""
    budget = BUDGET * len(features) / RATE
    longest = max(min(shots.LONGEST, budget / FEWEST), 2 * shots.SHORTEST)
    penalty = EXTRACTORS[DEFAULT].penalty
    cuts = shots.find_cuts(features, RATE, penalty=penalty, longest=longest)
    edges = np.concatenate([[0], cuts, [len(features)]]) / RATE
    bounds = np.stack([edges[:-1], edges[1:]], 1)
    chosen = shots.choose_shots(shots.shot_scores(scores, cuts), bounds, budget)
    steps = np.concatenate(
        [part for part, is_kept in zip(
            np.split(np.arange(len(features)), cuts), chosen, strict=True
        ) if is_kept]
    )  # fmt: skip
    return coverage(features, steps)


def coverage(features, steps):
    """Mean over frames of the similarity with the most similar kept frame."""
    unit = unit_length(features)
    return float((unit @ unit[steps].T).max(1).mean())


def covered_most(held):
    """The same of the frames that a greedy choice keeps, without shots: a roof."""
    found = []
    for features in held:
        steps = greedy(features, int(BUDGET * len(features)))
        found.append(coverage(features, steps))
    return found


def greedy(features, count):
    """Frames in the order in which each adds most to the coverage."""
    unit = unit_length(features)
    similar = unit @ unit.T
    best, order = np.zeros(len(unit)), []
    for _ in range(count):
        gains = np.maximum(similar, best[:, None]).mean(0)
        gains[order] = -1
        order.append(int(gains.argmax()))
        best = np.maximum(best, similar[order[-1]])
    return order


def early_in_greedy(features):
    """1 for the frame that covers most, falling along the greedy choice to 0."""
    target = np.zeros(len(features), np.float32)
    target[greedy(features, len(features))] = np.linspace(1, 0, len(features))
    return target


UNTRAINED = {
    "cluster representativeness, the default": representativeness,
    "the greedy order of the video itself": early_in_greedy,
}
TARGETS = {
    "PGL-SUM distilled from the default": representativeness,
    "PGL-SUM taught the greedy order (self-supervised)": early_in_greedy,
}
