"""GPS-Net: from clips of joints to a trained recogniser of actions."""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax
import numpy as np

from gpsattn_jax import convert
from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.rewrite import config_of
from gpsattn_jax.data.batches import Batches, in_order
from gpsattn_jax.data.skeletons.clips import Clips, ClipSet
from gpsattn_jax.data.skeletons.layouts import Layout
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts, num_splits
from gpsattn_jax.data.skeletons.recipe import AugmentConfig
from gpsattn_jax.evaluation import classification
from gpsattn_jax.models import gpsnet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.systems.gpsnet.clips import augment, fitted, prepare
from gpsattn_jax.systems.gpsnet.setups import SETUPS, Config
from gpsattn_jax.systems.saved_runs import open_run
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.loop import fit
from gpsattn_jax.training.losses import cross_entropy
from gpsattn_jax.training.predict import predict
from gpsattn_jax.training.sharding import Placement, place

__all__ = [
    "SETUPS",
    "AugmentConfig",
    "Config",
    "DataConfig",
    "Machine",
    "Recognizer",
    "load_parts",
    "num_splits",
    "restore",
    "train",
]

SYSTEM = "gpsnet"
TOGETHER = 8  # clips of a forward pass: so few stay in a processor's cache
LAYERS = ("embedding", r"blocks/(\d+)", "norm|head")


@dataclasses.dataclass(frozen=True)
class Recognizer:
    """A trained network, ready to be asked.

    Attributes:
        config: of the run.
        class_names: a name for each class.
        layout: of the joints.
        step: of the checkpoint.
        network: the network.
        params: its parameters.
        state: its batch statistics.
        placement: the devices it is on.
    """

    config: Config
    class_names: tuple[str, ...]
    layout: Layout
    step: int
    network: Functional
    params: dict
    state: dict
    placement: Placement

    def probabilities(self, clips: Clips) -> np.ndarray:
        """Clips of any length -> [n, classes].

        Raises:
            ValueError: if their joints or coordinates are not those it was trained on.
        """
        found = (clips.layout.num_joints, clips.joints.shape[-1])
        wanted = (self.config.model.num_joints, self.config.model.in_channels)
        if found != wanted:
            raise ValueError(
                f"{clips.names[0]}: clips must have {wanted[0]} joints "
                f"({self.layout.name}) of {wanted[1]} coordinates; got {found[0]} of "
                f"{found[1]}."
            )
        weights = self.params, self.state
        return _probabilities(
            self.network, self.config, *weights, clips, self.placement
        )


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
    config = fitted(config, clips)
    judged = parts.get("validation", clips)
    _check(config)
    network = gpsnet.build(config.model)
    batches = Batches(
        ClipSet(clips, config.data.num_frames, config.augment.crop),
        batch_size=size,
        seed=settings.seed,
        rows=rows,
    )

    def evaluate(params, state):
        found = _probabilities(network, config, params, state, judged, placement)
        return scores(found, judged.labels)

    described = {"class_names": clips.class_names, "system": SYSTEM}
    fit(
        network,
        cross_entropy(settings.label_smoothing),
        batches,
        evaluate,
        settings,
        workdir,
        augment=functools.partial(augment, config, clips.layout.mirror),
        settings=dataclasses.asdict(config)
        | described
        | {"layout": dataclasses.asdict(clips.layout)},
        initial=functools.partial(_initial, network, config)
        if config.init_from
        else None,
        layers=LAYERS,
        machine=machine,
    )


def restore(
    workdir: str | os.PathLike,
    choose: str = "latest",
    *,
    machine: Machine | None = None,
) -> Recognizer:
    """The recogniser that a run trained.

    Args:
        workdir: where `train` was told to work.
        choose: "latest" checkpoint, or the "best" one on the held-out clips: of its
            averaged weights if `train.best_metric` is theirs.
        machine: devices and processes.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if `choose` is unknown or the run is another system's.
    """
    placement = place(machine)
    with open_run(workdir, choose, SYSTEM) as (checkpoints, step, settings):
        class_names = tuple(settings.pop("class_names"))
        layout = from_dict(Layout, settings.pop("layout"))
        config = from_dict(Config, settings)
        network = gpsnet.build(config.model)
        shapes = (placement.shapes(tree) for tree in network.shapes())
        averaged = choose == "best" and config.train.best_metric.startswith("ema/")
        params, state = checkpoints.restore_weights(step, *shapes, averaged=averaged)
    weights = params, state
    return Recognizer(config, class_names, layout, step, network, *weights, placement)


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and cross-entropy of probabilities [n, classes]."""
    return {
        "accuracy": classification.accuracy(probabilities, labels),
        "loss": classification.cross_entropy(probabilities, labels),
    }


def _probabilities(network, config, params, state, clips, placement):
    devices = placement.mesh.shape["data"]
    size = -(-min(TOGETHER, len(clips)) // devices) * devices
    source = ClipSet(clips, config.data.num_frames)
    batches = in_order(source, size, placement.rows(size))
    return predict(_forward(network, config), params, state, batches, placement)


@functools.cache
def _forward(network, config):
    @jax.jit
    def forward(params, state, inputs):
        logits, _ = network.apply(params, state, **prepare(config, inputs))
        return jax.nn.softmax(logits)

    return forward


def _initial(network: Functional, config: Config) -> tuple[Any, Any]:
    """Weights to start from: those of another run, or of a file."""
    if pathlib.Path(config.init_from).is_file():
        loaded, *weights = convert.load(SYSTEM, config.init_from)
        model = config_of(loaded)
    else:
        found = restore(config.init_from)
        weights, model = jax.device_get([found.params, found.state]), found.config.model
    key, configs = jax.random.key(config.train.seed), (model, config.model)
    params, state, replaced = convert.graft(network, key, *weights, configs=configs)
    for line in replaced:
        print(f"{config.init_from}: {line}")
    return params, state


def _check(config):
    metrics = ["accuracy"] + ["ema/accuracy"] * bool(config.train.ema_decay)
    if config.train.best_metric not in metrics:
        raise ValueError(
            f"train.best_metric must be one of {', '.join(metrics)}; "
            f"got {config.train.best_metric!r}."
        )
    if config.model.partition == "voronoi" and not config.model.anchors:
        raise ValueError(
            "model.partition must be another than voronoi: the joints' layout "
            f"(data.layout={config.data.layout}) names no anchors."
        )
    gpsnet.skeleton_parts(config.model)  # whatever else does not fit the skeleton
