"""What is compared: `score(task, split)` gives each test video's metrics.

Whatever a scorer chooses for itself it chooses on folds of the split's training videos,
by the mean of Spearman's rho, and is then fitted to all of them.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.summaries import splits
from benchmarks.summaries.networks import Trainer
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.evaluation.correlation import spearman_matrix
from gpsattn_jax.evaluation.representativeness import representativeness
from gpsattn_jax.evaluation.shot_regression import describe_shots, fit_shots
from gpsattn_jax.systems.pglsum.scores import (
    compared_frames,
    mean_scores,
    opinions,
    score_people,
    score_video,
)
from gpsattn_jax.systems.pglsum.setups import Config

Metrics = dict[str, float]

CHANCES = 20  # random scorings of each video, averaged
POSITION = [("position",)]
GROUPS = [
    ("position",),
    ("position", "contrast"),
    ("position", "representativeness"),
    ("position", "contrast", "representativeness", "duration"),
    ("position", "contrast", "representativeness", "duration", "colours"),
]
PENALTIES = (0.03, 0.3, 3.0)
FITTED_FOLDS, TRAINED_FOLDS = 4, 2  # within training; a network takes its time


@dataclasses.dataclass
class Task:
    """A set of videos.

    Attributes:
        config: of PGL-SUM's run on it.
        videos: by name.
    """

    config: Config
    videos: Mapping[str, Video]

    @functools.cached_property
    def described(self):
        """What the regression may look at, by video."""
        return {
            name: describe_shots(video.features, video.picks, video.num_frames)
            for name, video in self.videos.items()
        }

    @functools.cached_property
    def users(self):
        """People's opinions of each video, as scorers choose by them."""
        found = {name: opinions(video) for name, video in self.videos.items()}
        if self.config.data.against == "each_user":
            return found
        return {name: users.mean(0, keepdims=True) for name, users in found.items()}

    @functools.cached_property
    def kept(self) -> dict[tuple[str, str], Metrics]:
        """Metrics by (row, video) of rows without training, which no split changes."""
        return {}

    @functools.cached_property
    def trainer(self):
        """PGL-SUM."""
        return Trainer(self.config, list(self.videos.values()))

    def metrics(self, name: str, scores: np.ndarray) -> Metrics:
        """Of a video's scores; a scoring without ranks correlates with nothing."""
        found = score_video(self.videos[name], scores, self.config.data)
        return {metric: float(np.nan_to_num(value)) for metric, value in found.items()}

    def mean_rho(self, scores: Mapping[str, np.ndarray]) -> float:
        """Over videos, by which scorers choose: a tau takes ten times as long."""
        return float(np.mean([self._rho(name, s) for name, s in scores.items()]))

    def _rho(self, name, scores):
        frames, users = compared_frames(self.videos[name], scores, self.users[name])
        return np.nan_to_num(spearman_matrix(np.vstack([frames, users]))[0, 1:]).mean()


def _untrained(row, metrics_of):
    def score(task: Task, split: splits.Split) -> dict[str, Any]:
        for name in split.test:
            if (row, name) not in task.kept:
                task.kept[row, name] = metrics_of(task, name)
        return {"videos": {name: task.kept[row, name] for name in split.test}}

    return score


def _regression(group_choices):
    def score(task, split):
        choices = list(itertools.product(group_choices, PENALTIES))
        held = list(splits.folds(split.train, FITTED_FOLDS, split.seed))

        def mean_rho(choice):
            found = (_fitted(task, train, test, *choice) for train, test in held)
            return np.mean([task.mean_rho(scores) for scores in found])

        groups, penalty = max(choices, key=mean_rho)
        scores = _fitted(task, split.train, split.test, groups, penalty)
        return {
            "chosen": f"{' '.join(groups)}, penalty {penalty:g}",
            "videos": {name: task.metrics(name, s) for name, s in scores.items()},
        }

    return score


def _fitted(task, train, test, groups, penalty):
    """Scores of the test videos by a regression of the training videos."""
    targets = [task.videos[name].target for name in train]
    described = [task.described[name] for name in train]
    model = fit_shots(described, targets, groups, penalty)
    return {name: model.score(task.described[name]) for name in test}


def _network(task, split):
    rhos = []
    for train, test in splits.folds(split.train, TRAINED_FOLDS, split.seed):
        found = task.trainer.scores(train, split.seed)
        rhos.append([task.mean_rho({n: scores[n] for n in test}) for scores in found])
    place = int(np.argmax(np.mean(rhos, axis=0)))
    steps = task.trainer.steps[: place + 1]
    scores = task.trainer.scores(split.train, split.seed, steps)[-1]
    return {
        "chosen": f"{steps[-1]} steps",
        "videos": {name: task.metrics(name, scores[name]) for name in split.test},
    }


def _chance(task, name):
    rng, steps = np.random.default_rng(0), len(task.videos[name])
    return mean_scores([task.metrics(name, rng.random(steps)) for _ in range(CHANCES)])


def _representativeness(task, name):
    return task.metrics(name, representativeness(task.videos[name].features))


def _people(task, name):
    return score_people(task.videos[name], task.config.data)


# In the order in which the table has them; the longest last, so that a run that is
# stopped has lost little.
SCORERS = {
    "random": _untrained("random", _chance),
    "representativeness": _untrained("representativeness", _representativeness),
    "people": _untrained("people", _people),
    "position": _regression(POSITION),
    "regression": _regression(GROUPS),
    "pglsum": _network,
}
