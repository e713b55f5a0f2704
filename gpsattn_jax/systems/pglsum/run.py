"""PGL-SUM: from annotated videos to a trained, evaluated summariser."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import jax
import numpy as np

from gpsattn_jax import convert
from gpsattn_jax.configs import default_values
from gpsattn_jax.convert.graft import fitting_flags
from gpsattn_jax.data.batches import Batches
from gpsattn_jax.data.videos.videos import Video, VideoSet
from gpsattn_jax.models import pglsum
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import runs
from gpsattn_jax.systems.pglsum.scores import known_metrics, mean_scores, score_video
from gpsattn_jax.systems.pglsum.setups import SETUPS, Config, DataConfig
from gpsattn_jax.systems.pglsum.videos import (
    feature_norms,
    file_width,
    load_videos,
    network_inputs,
    split_videos,
)
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import summed_squares
from gpsattn_jax.training.sharding import Placement, on_every_process, place

NAME = "pglsum"
TOGETHER = 16  # videos that are scored in one padded batch


def train(
    config: Config,
    workdir: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains, or goes on training, in `workdir`.

    Args:
        config: of the run.
        workdir: checkpoints and logs.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        machine: devices, processes, profiling.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after saving; the same call goes on from there.
        FileNotFoundError: if a file of data is not there.
        ValueError: if the config does not fit itself, the data or the checkpoint.
    """
    placement = place(machine)
    size = config.train.batch_size
    parts = split_videos(config, load_videos(config.data, data_dir), data_dir)
    # The paper's protocol scores every epoch on test videos, and says so in its tables.
    scored = parts["test" if config.protocol == "paper" else "validation"]
    _check_training(config, parts["train"], scored)
    batches = Batches(
        VideoSet(
            network_inputs(parts["train"], config.data),
            size,
            multiple_of=placement.sequence_devices,
        ),
        batch_size=size,
        seed=config.train.seed,
        rows=placement.rows(size),
    )
    network = pglsum.build(config.model)

    def evaluate(params, state):
        scores = score_videos(network, params, state, scored, config.data, placement)
        found = [score_video(v, scores[v.name], config.data) for v in scored]
        return mean_scores(found, config.train.best_metric)

    settings = config.train
    if config.protocol == "paper":
        epoch = batches.steps_per_epoch
        settings = dataclasses.replace(
            settings,
            log_every=epoch,
            evaluate_every=epoch,
            checkpoint_every=settings.checkpoint_every or 50 * epoch,
        )
    fit(
        network,
        summed_squares(),
        batches,
        evaluate,
        settings,
        workdir,
        settings=dataclasses.asdict(config)
        | {"system": NAME, "feature_norms": feature_norms(parts["train"])},
        defaults=default_values(Config),
        initial=functools.partial(_initial, config) if config.init_from else None,
        machine=machine,
    )


def restore(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool = False,
    machine: Machine | None = None,
) -> TrainedRun:
    """The run that was trained in a workdir; see `runs.restore`.

    The facts hold `feature_norms`, the smallest and the largest of a step in training.
    The official models by name (`named_networks.PUBLISHED`) are a run of no step, on
    the videos that they were trained on.
    """
    published = runs.published(NAME, workdir)
    if published is not None and not averaged:
        return from_weights(_published_config(published, workdir), machine=machine)
    return runs.restore(
        NAME, Config, pglsum.build, workdir, choose,
        averaged=averaged, facts={"feature_norms": tuple}, machine=machine,
    )  # fmt: skip


def from_weights(config: Config, *, machine: Machine | None = None) -> TrainedRun:
    """The weights that `config.init_from` names, as a run of no step.

    Such as the official ones; nothing is known of the features they were trained on, so
    that any scale of them is taken.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if its weights do not fit `config.model`.
    """
    params, state = _initial(config)
    network, facts = pglsum.build(config.model), {"feature_norms": (0.0, float("inf"))}
    placement = place(machine)
    return TrainedRun(config, 0, network, params, state, placement, facts=facts)


def _published_config(published, name):
    """Of the official run; nothing but its weights is known of a model of the paper."""
    setup = SETUPS[published.setup]
    data = dataclasses.replace(setup.data, split=published.split)
    return dataclasses.replace(
        setup, data=data, protocol="paper", init_from=os.fspath(name)
    )


def score_steps(run: TrainedRun, videos: Sequence[Video]) -> dict[str, np.ndarray]:
    """Importance of every time step: {video's name: [T] in (0, 1)}.

    Raises:
        ValueError: if the features are not such as the run was trained on.
    """
    for video in videos:
        _check_features(run, video)
    return score_videos(
        run.network, run.params, run.state, videos, run.config.data, run.placement
    )


def score_videos(
    network: Functional,
    params: dict,
    state: dict,
    videos: Sequence[Video],
    data: DataConfig,
    placement: Placement,
) -> dict[str, np.ndarray]:
    """{video's name: scores [T]}; videos of like length share a padded batch."""
    steps = placement.sequence_devices
    source = VideoSet(network_inputs(videos, data), multiple_of=steps)
    forward = placement.on_mesh(_forward(network))
    devices = placement.mesh.shape["data"]
    order = np.argsort([len(video) for video in videos], kind="stable")
    found = {}
    for start in range(0, len(order), TOGETHER):
        places = order[start : start + TOGETHER]
        empty = [len(videos)] * (-len(places) % devices)
        rows = placement.rows(len(places) + len(empty))
        batch = source.batch_rows(np.array([*places, *empty]), None, rows)
        scores = forward(params, state, placement.put(batch["inputs"]))
        for number, row in zip(places, on_every_process(scores), strict=False):
            found[videos[number].name] = row[: len(videos[number])]
    return found


@functools.cache
def _forward(network):
    return compiled_once(make_forward(network))


def make_forward(network: Functional) -> Callable[..., jax.Array]:
    """(params, state, {"features", "length"}) -> scores [B, T]."""

    def forward(params, state, inputs):
        scores, _ = network.apply(params, state, **inputs)
        return scores

    return forward


def _initial(config):
    path, choice = runs.find_start(config.init_from)
    if choice is not None:
        run = restore(path, **choice)
        network = run.network
        params, state = jax.device_get((run.params, run.state))
    else:
        options = {
            name: getattr(config.model, name)
            for name in ("fusion", "position", "frequency", "dropout", "start")
        }
        network, params, state = convert.load(NAME, path, **options)
    if network.shapes() != pglsum.build(config.model).shapes():
        flags = fitting_flags(network.config, config.model)
        raise ValueError(
            f"{config.init_from}: the weights must fit the network; "
            f"{flags or 'they are of a part of one'}."
        )
    return params, state


def _check_features(run, video):
    size = file_width(run.config)
    if video.features.shape[1] != size:
        raise ValueError(
            f"{video.name}: features must be [T, {size}] "
            f"({run.config.data.extractor}); got {video.features.shape}."
        )
    low, high = run.facts["feature_norms"]
    middle = float(np.median(np.linalg.norm(video.features, axis=1)))
    if not low / 2 <= middle <= high * 2:
        raise ValueError(
            f"{video.name}: features must be normalised as in training, with norms "
            f"of {low:.3g} to {high:.3g}; got {middle:.3g}."
        )


def _check_training(config, videos, scored):
    """Raises ValueError naming what does not fit the data."""
    metrics = known_metrics(scored)
    if config.train.best_metric not in metrics:
        raise ValueError(
            f"train.best_metric must be one of {', '.join(metrics) or 'none'}, which "
            f"the users' opinions of {', '.join(v.name for v in scored)} give; "
            f"got {config.train.best_metric!r}."
        )
    width = videos[0].features.shape[1]
    if width != file_width(config):
        size = config.model.input_size
        raise ValueError(
            f"model.input_size must be {size + width - file_width(config)} for "
            f"data.file={config.data.file}; got {size}."
        )
    without = [video.name for video in videos if video.target is None]
    if without:
        raise ValueError(
            f"{config.data.file}: to train, videos must have gtscore; "
            f"{', '.join(without)} have none."
        )
