"""PGL-SUM trained many times in one process: one program for all splits of a size."""

import functools
import math
from collections.abc import Sequence

import jax
import numpy as np

from gpsattn_jax.data.videos.videos import Video, VideoSet
from gpsattn_jax.models import pglsum
from gpsattn_jax.systems.pglsum.setups import Config
from gpsattn_jax.systems.pglsum.videos import network_inputs
from gpsattn_jax.training.losses import summed_squares
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step


class Trainer:
    """Trains a network on some of a set's videos and scores all of them.

    The steps are those of a run with the config: the same network, optimizer and loss,
    all training videos in a batch.

    Args:
        config: of the run.
        videos: of the set.
    """

    def __init__(self, config: Config, videos: Sequence[Video]):
        self.names = [video.name for video in videos]
        self.source = VideoSet(network_inputs(videos, config.data))
        last = config.train.num_steps
        self.steps = (last // 4, last // 2, last)  # among which the folds choose
        network = pglsum.build(config.model)
        optimizer = make_optimizer(config.train)
        step = functools.partial(
            train_step,
            network=network,
            loss=summed_squares(),
            optimizer=optimizer,
            config=config.train,
        )
        self._start = jax.jit(lambda key: init_state(network, optimizer, key))
        self._forward = jax.jit(
            lambda state, inputs: network.apply(
                state.params, state.model_state, **inputs
            )[0]
        )

        @jax.jit
        def some_steps(state, batch, key):
            def one(state, _):
                state, metrics = step(state, batch, key)
                return state, metrics["loss"]

            return jax.lax.scan(one, state, None, length=math.gcd(*self.steps))

        self._some_steps = some_steps

    def scores(
        self,
        train: Sequence[str],
        seed: int,
        steps: Sequence[int] | None = None,
        scored: Sequence[str] | None = None,
    ) -> list[dict[str, np.ndarray]]:
        """Scores of videos after some numbers of steps.

        Args:
            train: names of the videos to train on.
            seed: of the weights and of dropout.
            steps: of `self.steps`, ascending; all of them by default.
            scored: names of the videos to score; all of them by default.

        Returns:
            {video: [T]} for each number of steps.
        """
        scored = self.names if scored is None else scored
        batch, inputs = self._batch(train), self._batch(scored)["inputs"]
        key = jax.random.key(seed)
        state, found = self._start(key), []
        for number in self.steps if steps is None else steps:
            while int(state.step) < number:
                state, _ = self._some_steps(state, batch, key)
            scores = np.asarray(self._forward(state, inputs))
            found.append(
                {
                    name: row[:length]
                    for name, row, length in zip(
                        scored, scores, inputs["length"], strict=True
                    )
                }
            )
        return found

    def _batch(self, names):
        return self.source.batch(np.array([self.names.index(name) for name in names]))
