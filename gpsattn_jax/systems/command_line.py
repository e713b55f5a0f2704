"""The command line of a system: its flags and modes, the same for all of them."""

import functools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import CHECKPOINTS, System, grids
from gpsattn_jax.training import supervisor
from gpsattn_jax.training.config import Machine
from gpsattn_jax.usage import Usage

MODES = ("train", "evaluate", "predict", "report", "export")

# Flags that only some modes take; a system has some of them.
FLAG_MODES = {
    "weights": ("evaluate", "predict", "report", "export"),
    "checkpoint": ("evaluate", "predict", "report", "export"),
    "split": ("train",),
    "seeds": ("train",),
    "stream": ("train",),
    "extend": ("train",),
    "log_to": ("train", "report"),
    "resume": ("train",),
    "fuse": ("evaluate",),
    "samplings": ("evaluate",),
    "baselines": ("train", "evaluate", "report"),
    "images": ("predict",),
    "clip": ("predict",),
    "features": ("predict",),
    "invert": ("predict",),
    "top": ("predict",),
    "skip_bad": ("predict",),
    "window": ("evaluate", "predict"),
    "stride": ("evaluate", "predict"),
    "ema": ("predict", "report", "export"),
    "output": ("predict", "report", "export"),
    "to": ("export",),
    "platforms": ("export",),
    "tolerance": ("export",),
    "persons": ("export",),
    "steps": ("export",),
}
ARTEFACT = "model"  # and a suffix
FOLDER = "data.folder"  # another one can be evaluated


def run(system: System, argv: Sequence[str] | None = None) -> None:
    """Runs the command of a system: parses its flags, then does what `--mode` says.

    Args:
        system: a row of `SYSTEMS`.
        argv: the program, as typed, and its arguments; those of Python by default.
    """
    face = system.face()
    _define_flags(system, face)
    main = functools.partial(_alone_or_supervised, system, face)
    config_flags.run(lambda _: main(), _usage(system), argv)


def _usage(system):
    """The help of its command: examples, and what most runs choose."""
    name, _ = system.inputs
    main = (
        "mode", "setup", "workdir", "weights", "data_dir", name, "output", "split",
        "stream", "seeds", "train.num_steps", "train.batch_size", "train.learning_rate",
        "init_from", "mesh", "log_to",
    )  # fmt: skip
    return Usage(
        text=f"""{system.about}.

  PROGRAM --setup={system.setup} --workdir=runs/mine
  PROGRAM --mode=evaluate --workdir=runs/mine
  PROGRAM --mode=predict --workdir=runs/mine --{name}={system.example}""",
        main=tuple(flag for flag in main if flag in flags.FLAGS),
    )


def refuse_other_modes(
    given: Iterable[str], mode: str, allowed: Collection[str] = ()
) -> None:
    """Raises ValueError if a flag was given that is for other modes.

    Args:
        given: names of flags.
        mode: one of `MODES`.
        allowed: flags that this mode takes all the same.
    """
    for name in given:
        modes = FLAG_MODES.get(name, MODES)
        if mode not in modes and name not in allowed:
            right = " and ".join([", ".join(modes[:-1]), modes[-1]][len(modes) < 2 :])
            hint = "; name a run's workdir" if modes == ("train",) else ""
            raise ValueError(f"--{name} is for --mode={right}{hint}.")


def define_export_flags(own: Collection[str]) -> None:
    """Flags of an artefact: those that all systems have, and some of single ones."""
    flags.DEFINE_enum(
        "to", "stablehlo", ["stablehlo", "onnx"],
        "export: what to write; onnx is for onnxruntime, which needs no JAX.",
    )  # fmt: skip
    flags.DEFINE_list(
        "platforms", None,
        "export: of a .stablehlo: cpu,cuda,rocm,tpu; by default the one that JAX uses "
        "here.",
    )  # fmt: skip
    flags.DEFINE_float(
        "tolerance", None,
        "export: the largest difference, 1e-5 by default, of ONNX 2e-5; accelerators "
        "may need 1e-2.",
    )  # fmt: skip
    for name, default, text in (
        ("persons", 1, "of a clip; absent ones are masked."),
        ("steps", 320, "of the longest video; shorter ones are padded."),
        ("size", None, "of a file's images: pixels of a side; its config's, else 224."),
    ):
        if name in own:
            flags.DEFINE_integer(name, default, f"export: {text}", lower_bound=1)


def _define_flags(system, face):
    flags.DEFINE_enum(
        "setup", system.setup, sorted(face.SETUPS), "train: the setup to start from."
    )
    flags.DEFINE_enum("mode", "train", MODES, "What to do.")
    config_flags.define_workdir(
        "The folder of checkpoints and logs.",
        "evaluate, predict, report, export: in place of a workdir, a file of a run, or "
        "a name of gpsattn_jax.pretrained.",
    )
    flags.DEFINE_string(
        "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
    )
    flags.DEFINE_enum(
        "checkpoint", system.checkpoint, CHECKPOINTS,
        "Best is chosen on what is held out of training; whole is the newest one of "
        "which no file is damaged, for train, too, which sets newer ones aside.",
    )  # fmt: skip
    flags.DEFINE_bool("ema", False, "With the averaged weights.")
    flags.DEFINE_bool(
        "baselines", True,
        "evaluate, report, and train of a grid: rows that need no network, too.",
    )  # fmt: skip
    name, inputs = system.inputs
    flags.DEFINE_multi_string(name, None, f"predict: {inputs}; may be repeated.")
    flags.DEFINE_string(
        "output", None,
        "predict: a .csv or .json (of masks a folder); report: a folder; export: a "
        ".stablehlo or .onnx.",
    )  # fmt: skip
    flags.DEFINE_integer(
        "seeds", 1, "train: how many, from train.seed on, each in its own folder."
    )
    if "split" in system.axes:
        flags.DEFINE_string("split", None, "train: a number, or all, likewise.")
    if "stream" in system.axes:
        streams = [*face.STREAMS, "all"]
        flags.DEFINE_enum(
            "stream", None, streams, "train: what of the joints, likewise."
        )
    if "fuse" in system.flags:
        text = "evaluate: weights of the streams; 2,2,1,1 by default."
        config_flags.define_numbers("fuse", text)
    if "samplings" in system.flags:
        text = "evaluate: mean over so many random draws of frames; 0 for even ones."
        flags.DEFINE_integer("samplings", 0, text, lower_bound=0)
    if "invert" in system.flags:
        flags.DEFINE_bool("invert", False, "predict: swap dark and bright first.")
    if "top" in system.flags:
        flags.DEFINE_integer("top", 3, "predict: classes of each; 0 for all.", 0)
    if "skip_bad" in system.flags:
        flags.DEFINE_bool("skip_bad", False, "predict: a row for each unreadable file.")
    if "features" in system.flags:
        flags.DEFINE_string("features", None, "predict: an .npz of the head's inputs.")
    for name, text in (
        ("window", "evaluate, predict: pixels of a side; the network's own if None."),
        ("stride", "evaluate, predict: from window to window; two thirds of one."),
    ):
        if name in system.flags:
            flags.DEFINE_integer(name, None, text, lower_bound=1)
    define_export_flags(system.flags)
    config_flags.define(face.Config)
    config_flags.define(Machine)


def _alone_or_supervised(system, face):
    """Runs one mode; of several processes each has a parent that says how it ended."""
    machine = Machine(whole=flags.FLAGS.checkpoint == "whole")
    machine = config_flags.override(machine)
    if machine.distributed == "off" or config_flags.wants_details():
        return _main(system, face, machine)
    if not supervisor.is_worker():
        return supervisor.supervise(machine, _resumption)
    with supervisor.working(machine):
        return _main(system, face, machine)


def _resumption():
    """What the same command does after a loss, for the end of a sentence."""
    if flags.FLAGS.mode != "train":
        return "run the same command again, on all of them."
    step = grids.latest_step(flags.FLAGS.workdir)
    without = " without --resume" * flags.FLAGS["resume"].present
    return f"the same command{without}, on all of them, goes on from step {step}."


def _main(system, face, machine):
    """Runs one mode."""
    given, mode = flags.FLAGS, flags.FLAGS.mode
    where: dict[str, Any] = {"data_dir": given.data_dir, "machine": machine}
    beside = {"with_baselines": given.baselines}
    present = [name for name in given if given[name].present]
    weights = mode == "evaluate" and system.scores_weights and "init_from" in present
    allowed = ["split"] * bool(weights) + ["checkpoint"] * machine.whole
    refuse_other_modes(present, mode, allowed)
    axes: dict[str, Any] = {
        name: given[name].value for name in ("split", "stream") if name in given
    }
    if mode == "train" or weights:
        config = config_flags.override(face.SETUPS[given.setup])
        if weights:
            face.evaluate_weights(config, given.workdir, **axes, **beside, **where)
        else:
            axes["seeds"] = given.seeds
            grids.train_runs(system, config, given.workdir, **axes, **beside, **where)
        return
    other_data = mode == "evaluate" and FOLDER in given and given[FOLDER].present
    config_flags.refuse(
        face.Config,
        "the checkpoint's own settings are used.",
        allowed=(FOLDER,) * other_data,
    )
    workdir = given.workdir if given.weights is None else given.weights
    source = workdir, given.checkpoint
    averaged = {"averaged": True} if given.ema else {}
    if mode == "evaluate":
        folder = {"folder": given[FOLDER].value} if other_data else {}
        own = _own(system, "fuse", "samplings", "window", "stride")
        face.evaluate(*source, **own, **folder, **beside, **where)
    elif mode == "predict":
        name, inputs = system.inputs
        if given[name].value is None:
            raise ValueError(f"--mode=predict needs --{name}: {inputs}.")
        trained_run = face.restore(*source, machine=machine, **averaged)
        own = _own(system, "invert", "skip_bad", "features", "window", "stride")
        if "top" in system.flags:
            own["count"] = given.top
        face.predict(trained_run, given[name].value, given.output, **own)
    elif mode == "report":
        options = averaged | beside | where
        face.report(workdir, given.output, given.checkpoint, **options)
    else:
        output = given.output or f"{ARTEFACT}.{given.to}"
        own = _own(system, "persons", "steps")
        face.export(workdir, output, given.checkpoint, **averaged, **own,
                    to=given.to, platforms=given.platforms,
                    tolerance=given.tolerance)  # fmt: skip


def _own(system, *names):
    """Values of those flags that the system has."""
    return {n: flags.FLAGS[n].value for n in names if n in system.flags}
