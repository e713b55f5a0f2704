"""The record of a trained run, and one file that holds it: weights and settings."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gpsattn_jax import convert
from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert import files
from gpsattn_jax.convert.rewrite import config_of
from gpsattn_jax.convert.saved import check_bounds
from gpsattn_jax.convert.torch_keys import fill
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.reader_errors import readable
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.sharding import Placement, place

Readers = Mapping[str, Callable[[Any], Any]]  # fact -> what reads its plain values


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A trained network, and what it was trained on.

    Attributes:
        config: of the run.
        step: of the checkpoint.
        network: the network.
        params: its parameters.
        state: its batch statistics.
        placement: the devices it is on.
        class_names: a name for each class; empty where there are none.
        facts: what else is known from the training data, such as a skeleton's layout.
        examples: to train on; None where that was not kept.
    """

    config: Any
    step: int
    network: Functional
    params: dict
    state: dict
    placement: Placement
    class_names: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    examples: int | None = None

    def check_same_examples(self, now: int, folder: str) -> None:
        """Raises ValueError if pictures held out of the training part may be others.

        Args:
            now: how many there are to train on now.
            folder: of the data.
        """
        if self.examples not in (None, now):
            raise ValueError(
                f"data.folder={folder}: the run had {self.examples:,} images to train "
                f"on, and there are {now:,} now. The test images are held out of "
                "these: today's may have been trained on. Bring the old data back, or "
                "score other images with --data.folder."
            )


def write_run(path: str | os.PathLike, system: str, run: TrainedRun) -> None:
    """Writes a run as one `.safetensors` file, which stands for its workdir.

    `restore` opens it, `convert.load` reads its weights, and `--weights` takes it.

    Args:
        path: the file; it appears whole or not at all.
        system: whose run it is.
        run: what to write.
    """
    settings = dataclasses.asdict(run.config) | {"system": system}
    for name, fact in run.facts.items():
        settings[name] = _plain(fact)
    if run.class_names:
        settings["class_names"] = run.class_names
    record = json.dumps({"step": run.step, "settings": settings})
    params, state = jax.device_get((run.params, run.state))
    files.save(path, params, state, run.config.model, {"run": record})


def read_run(
    path: pathlib.Path,
    system: str,
    config_class: type,
    build: Callable[[Any], Functional],
    facts: Readers | None,
    machine: Machine | None,
) -> TrainedRun:
    """The run that a file holds; the arguments are those of `runs.restore`.

    Raises:
        ValueError: if the file holds no run, another system's, or a damaged one.
    """
    placement = place(machine)
    arrays, metadata = files.read(path)
    if "run" not in metadata:
        raise ValueError(
            f"{path}: must hold a run, with its settings beside the weights, as "
            "`gpsattn convert` makes it of a workdir; got weights alone."
        )
    with readable(path, "record of a run"):
        record = json.loads(metadata["run"])
        step, settings = int(record["step"]), dict(record["settings"])
    config, network, known = open_settings(
        path, settings, system, config_class, build, facts
    )
    with readable(path, "file of a run's weights"):
        trees = fill(network, arrays)
    params, state = (jax.device_put(t, placement.shardings(t)) for t in trees)
    names = known.pop("class_names", ())
    return TrainedRun(config, step, network, params, state, placement, names, known)


def read_weights(
    path: pathlib.Path, system: str, setup: Any, machine: Machine | None
) -> TrainedRun:
    """An image classifier's weights as a run of no step.

    Args:
        path: a file that `convert.load` reads.
        system: whose network it is.
        setup: the config of a whole run on the same kind of pictures.
        machine: devices and processes.

    Returns:
        The run; its classes are called by their numbers.
    """
    placement = place(machine)
    network, *trees = convert.load(system, path)
    model = config_of(network)
    params, state = (jax.device_put(t, placement.shardings(t)) for t in trees)
    names = tuple(f"class {number}" for number in range(model.num_classes))
    config = dataclasses.replace(setup, model=model)
    return TrainedRun(config, 0, network, params, state, placement, names)


def holds_run(path: str | os.PathLike) -> bool:
    """Whether a file of weights holds the whole record of a run."""
    return "run" in files.read(path)[1]


def open_settings(
    path: str | os.PathLike,
    settings: dict[str, Any],
    system: str,
    config_class: type,
    build: Callable[[Any], Functional],
    facts: Readers | None,
) -> tuple[Any, Functional, dict[str, Any]]:
    """Settings as a run keeps them -> (config, network, what else is known).

    Args:
        path: of the file that holds them, for messages.
        settings: plain values.
        system: whose run it must be.
        config_class: of a whole run.
        build: the network's config -> the network.
        facts: what stands beside the config: name -> what reads it.

    Raises:
        ValueError: if the run is another system's, or the settings are damaged.
    """
    if settings.get("system") != system:
        trained_by = f"{settings.get('system')!s:.60}"
        raise ValueError(f"{path} must be a run of {system}; got {trained_by}.")
    with readable(path, "record of a run's settings"):
        del settings["system"]
        known = {n: _fact(settings, n, read) for n, read in (facts or {}).items()}
        if isinstance(settings.get("model"), dict):
            check_bounds(settings["model"], "model")
        config: Any = from_dict(config_class, settings)
        return config, build(config.model), known


def _plain(fact: Any) -> Any:
    return dataclasses.asdict(fact) if dataclasses.is_dataclass(fact) else fact  # type: ignore[arg-type]


def _fact(settings, name, read):
    """What is known beside the config; taken out of the settings."""
    try:
        return read(settings.pop(name))
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{name}: {error!r:.80}") from error
