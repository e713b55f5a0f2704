"""GPS-Net: from clips of joints to a trained recogniser of actions."""

import dataclasses
import functools
import os
from collections.abc import Callable

import jax
import numpy as np

from gpsattn_jax.configs import default_values, from_dict, upgraded
from gpsattn_jax.data.batches import Batches, in_order
from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.layouts import Layout
from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.evaluation import classification
from gpsattn_jax.models import gpsnet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems import runs
from gpsattn_jax.systems.gpsnet.clips import (
    augment,
    clip_source,
    config_for,
    network_inputs,
)
from gpsattn_jax.systems.gpsnet.setups import Config
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training.compiled import compiled_once
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.predict import predict
from gpsattn_jax.training.sharding import place

NAME = "gpsnet"
TOGETHER = 8  # clips of a forward pass: so few stay in a processor's cache
LAYERS = ("embedding|codes", r"blocks/(\d+)", "norm|head")


def train(
    config: Config,
    workdir: str | os.PathLike,
    *,
    data_dir: str | os.PathLike | None = None,
    machine: Machine | None = None,
) -> None:
    """Trains, or goes on training, in `workdir`.

    Held-out clips are scored on the way, where `config.data.validation_fold` asks for
    some; else the training clips are, at the end. Test clips never are.

    Args:
        config: of the run; the data decide the network's skeleton and classes.
        workdir: checkpoints and logs.
        data_dir: the folder of data sets; `$GPSATTN_DATA_DIR` if None.
        machine: devices, processes, profiling.

    Raises:
        KeyboardInterrupt: on Ctrl-C, after saving; the same call goes on from there.
        FileNotFoundError: if a file of data is not there.
        ValueError: if the config does not fit itself, the data or the checkpoint.
    """
    placement = place(machine)
    size, settings = config.train.batch_size, config.train
    rows = placement.rows(size, settings.accumulate)
    parts = load_parts(config.data, data_dir)
    clips = parts["train"]
    config = config_for(config, clips)
    held_out = parts.get("validation", clips)
    _check(config)
    network = gpsnet.build(config.model)
    batches = Batches(
        clip_source(config, clips, training=True),
        batch_size=size,
        seed=settings.seed,
        rows=rows,
    )

    def evaluate(params, state):
        found = _probabilities(network, config, params, state, held_out, placement)
        return scores(found, held_out.labels)

    facts = {
        "class_names": clips.class_names,
        "layout": dataclasses.asdict(clips.layout),
    }
    fit(
        network,
        cross_entropy(settings.label_smoothing),
        batches,
        evaluate,
        settings,
        workdir,
        augment=functools.partial(augment, config, clips.layout.mirror),
        settings=dataclasses.asdict(config) | facts | {"system": NAME},
        upgrade=functools.partial(upgraded, Config),
        defaults=default_values(Config),
        initial=runs.initial_weights(NAME, restore, network, config, machine=machine),
        layers=LAYERS,
        machine=machine,
    )


def restore(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    averaged: bool | None = None,
    machine: Machine | None = None,
) -> TrainedRun:
    """The run that was trained in a workdir; see `runs.restore`.

    The best checkpoint is that on the held-out clips: of its averaged weights if
    `train.best_metric` is theirs. The facts hold the joints' `layout`.
    """
    layout = functools.partial(from_dict, Layout)
    facts: dict[str, Callable] = {"class_names": tuple, "layout": layout}
    return runs.restore(
        NAME, Config, gpsnet.build, workdir, choose,
        averaged=averaged, facts=facts, machine=machine,
    )  # fmt: skip


def probabilities(run: TrainedRun, clips: Clips, samplings: int = 0) -> np.ndarray:
    """Clips of any length -> [n, classes].

    Args:
        run: a trained network.
        clips: of its joints.
        samplings: so many times frames are drawn at random, as in training, and the
            probabilities' mean is taken; 0 for evenly spaced frames, once.

    Raises:
        ValueError: if their joints or coordinates are not those it was trained on, or
            the run draws no frames.
    """
    if samplings and run.config.data.frames != "draw":
        raise ValueError(
            "samplings must be 0 for a run of data.frames="
            f"{run.config.data.frames}; got {samplings}."
        )
    found = (clips.layout.num_joints, clips.joints.shape[-1])
    wanted = (run.config.model.num_joints, run.config.model.in_channels)
    if found != wanted:
        raise ValueError(
            f"{clips.names[0]}: clips must have {wanted[0]} joints "
            f"({run.facts['layout'].name}) of {wanted[1]} coordinates; got {found[0]} "
            f"of {found[1]}."
        )
    seeds = range(samplings) if samplings else (None,)
    weights = run.params, run.state
    draws = [
        _probabilities(run.network, run.config, *weights, clips, run.placement, seed)
        for seed in seeds
    ]
    return np.mean(draws, axis=0)


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and cross-entropy of probabilities [n, classes]."""
    return {
        "accuracy": classification.accuracy(probabilities, labels),
        "loss": classification.cross_entropy(probabilities, labels),
    }


def _probabilities(network, config, params, state, clips, placement, seed=None):
    devices = placement.mesh.shape["data"]
    size = -(-min(TOGETHER, len(clips)) // devices) * devices
    source = clip_source(config, clips)
    batches = in_order(source, size, placement.rows(size), seed)
    return predict(_forward(network, config), params, state, batches, placement)


@functools.cache
def _forward(network, config):
    return compiled_once(make_forward(network, config))


def make_forward(network: Functional, config: Config) -> Callable[..., jax.Array]:
    """(params, state, a batch's inputs) -> probabilities of the classes."""

    def forward(params, state, inputs):
        logits, _ = network.apply(params, state, **network_inputs(config, inputs))
        return jax.nn.softmax(logits)

    return forward


def _check(config):
    runs.check_best_metric(config.train, ["accuracy"])
    if config.model.partition == "voronoi" and not config.model.anchors:
        raise ValueError(
            "model.partition must be another than voronoi: the joints' layout "
            f"(data.layout={config.data.layout}) names no anchors."
        )
    gpsnet.skeleton_parts(config.model)  # whatever else does not fit the skeleton
