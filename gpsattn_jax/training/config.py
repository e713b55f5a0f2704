"""The settings of a training run, and of the machine it runs on."""

import dataclasses
import itertools
import re

OPTIMIZERS = ("adamw", "adam", "sgd", "lamb")
SCHEDULES = ("cosine", "step", "constant")
DECAYED = ("kernels", "matrices", "all")
PRECISIONS = ("float32", "bfloat16")
SHARDINGS = ("tensor", "fsdp")
DISTRIBUTED = ("off", "auto", "manual")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        num_steps: steps of the whole run.
        batch_size: examples of a step, over all devices together.
        optimizer: adamw, lamb (decoupled weight decay), adam or sgd (decay added to
            the gradient; sgd with Nesterov momentum).
        learning_rate: the highest one, after the warm-up.
        warmup_steps: steps over which the learning rate rises.
        warmup_start: the learning rate that the warm-up starts from.
        schedule: after the warm-up: cosine, step or constant.
        final_learning_rate: where the cosine ends.
        cooldown_steps: last steps, after the end of the cosine, at that rate.
        milestones: shares of the run at which the step schedule falls.
        milestone_factor: to this share of the learning rate each time.
        momentum: of sgd.
        beta2: memory of the squared gradients, for the others.
        weight_decay: strength of weight decay.
        decayed: what decays: kernels (no norm, bias or position table), matrices (all
            of two or more axes but biases) or all.
        clip_norm: largest global norm of the gradients; 0 for no clipping.
        label_smoothing: share of a label spread evenly over all classes.
        accumulate: parts into which a batch is worked off, one after the other, to
            save memory; batch norms then see the parts.
        precision: float32, or bfloat16 for the network's computations; parameters,
            reductions, softmax, loss and optimizer stay float32.
        ema_decay: memory of the exponential moving average of the weights, which is
            evaluated beside them; 0 for none. Early steps average over fewer.
        layer_decay: each layer below the head learns this much slower than the one
            above it; 1 for one rate. For fine-tuning.
        frozen: patterns; parameters (and batch statistics) whose path begins with one
            stay as they are: "stem|blocks/[0-2]/".
        seed: of the initial values, the order of the data, augmentation and dropout.
        log_every: steps between lines of the log.
        evaluate_every: steps between evaluations.
        checkpoint_every: steps between checkpoints, at evaluations; 0 for each of them.
        keep_latest: newest checkpoints that are kept, beside the best one.
        best_metric: metric of `evaluate` whose highest value marks the best checkpoint,
            which is kept.
    """

    num_steps: int = 1000
    batch_size: int = 64
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    warmup_start: float = 0.0
    schedule: str = "cosine"
    final_learning_rate: float = 0.0
    cooldown_steps: int = 0
    milestones: tuple[float, ...] = (1 / 3, 2 / 3, 8 / 9)
    milestone_factor: float = 0.1
    momentum: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.05
    decayed: str = "kernels"
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    accumulate: int = 1
    precision: str = "float32"
    ema_decay: float = 0.0
    layer_decay: float = 1.0
    frozen: tuple[str, ...] = ()
    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 500
    checkpoint_every: int = 0
    keep_latest: int = 2
    best_metric: str = "accuracy"

    def __post_init__(self) -> None:
        """Rejects what no run can have."""
        for name in (
            "num_steps",
            "batch_size",
            "accumulate",
            "log_every",
            "evaluate_every",
            "keep_latest",
        ):
            _check(self, "train", name, getattr(self, name) >= 1, "at least 1")
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("decayed", DECAYED),
            ("precision", PRECISIONS),
        ):
            known = getattr(self, name) in choices
            _check(self, "train", name, known, f"one of {', '.join(choices)}")
        for name in ("label_smoothing", "ema_decay", "momentum", "beta2"):
            _check(self, "train", name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in (
            "learning_rate",
            "warmup_steps",
            "warmup_start",
            "final_learning_rate",
            "cooldown_steps",
            "checkpoint_every",
            "weight_decay",
            "clip_norm",
        ):
            _check(self, "train", name, getattr(self, name) >= 0, "at least 0")
        if self.cooldown_steps and self.schedule != "cosine":
            raise ValueError(
                "train.cooldown_steps must be 0 where train.schedule is not cosine; "
                f"got {self.cooldown_steps}."
            )
        rising = all(a < b for a, b in itertools.pairwise((0, *self.milestones, 1)))
        _check(self, "train", "milestones", rising, "rising shares within (0, 1)")
        _check(self, "train", "layer_decay", 0 < self.layer_decay <= 1, "in (0, 1]")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"train.batch_size must be a multiple of train.accumulate="
                f"{self.accumulate}; got {self.batch_size}."
            )
        if self.best_metric.split("/")[-1] == "loss":
            raise ValueError(
                "train.best_metric must be one whose highest value is best; "
                f"got {self.best_metric!r}."
            )
        if self.best_metric.startswith("ema/") and not self.ema_decay:
            raise ValueError(
                "train.best_metric must be no average's where train.ema_decay is 0; "
                f"got {self.best_metric!r}."
            )
        for pattern in self.frozen:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"train.frozen must hold patterns; got {pattern!r}: {error}."
                ) from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a run takes place. No result depends on it, but for rounding.

    Attributes:
        mesh: axes and sizes of the device mesh, as data:4,model:2; all devices along
            data if empty.
        sharding: tensor (copies on each device, heads split over `model`) or fsdp
            (parameters and optimizer state also split over `data`).
        distributed: off, auto (a cluster that JAX recognises) or manual (the three
            fields below).
        coordinator: host:port of process 0, for manual.
        num_processes: how many there are, for manual.
        process_id: which one this is, for manual.
        profile: START:STOP writes a trace of these steps into the workdir.
    """

    mesh: str = ""
    sharding: str = "tensor"
    distributed: str = "off"
    coordinator: str = ""
    num_processes: int = 1
    process_id: int = 0
    profile: str = ""

    def __post_init__(self) -> None:
        """Rejects what cannot be read."""
        for name, choices in (
            ("sharding", SHARDINGS),
            ("distributed", DISTRIBUTED),
        ):
            known = getattr(self, name) in choices
            _check(self, "", name, known, f"one of {', '.join(choices)}")
        fits = not self.mesh or re.fullmatch(r"\w+:\d+(,\w+:\d+)*", self.mesh)
        _check(self, "", "mesh", fits, "NAME:SIZE,…, as data:4,model:2")
        if self.profile:
            steps = re.fullmatch(r"\d+:\d+", self.profile) and len(self.profiled)
            _check(self, "", "profile", bool(steps), "START:STOP, two steps")
        if self.distributed == "manual" and not self.coordinator:
            raise ValueError("coordinator must be HOST:PORT with distributed=manual.")

    @property
    def profiled(self) -> range:
        """The steps of which a trace is written."""
        first, last = (self.profile or "0:0").split(":")
        return range(int(first), int(last))


def _check(config, prefix, name, fits, expected):
    if not fits:
        where = f"{prefix}.{name}" if prefix else name
        raise ValueError(f"{where} must be {expected}; got {getattr(config, name)!r}.")
