"""The settings of a training run, and of the machine it runs on."""

import dataclasses
import itertools
import re
from typing import Annotated

from gpsattn_jax.configs import (
    Amount,
    Checked,
    Count,
    Rule,
    Share,
    at_least,
    one_of,
    within,
)

OPTIMIZERS = ("adamw", "adam", "sgd", "lamb")
SCHEDULES = ("cosine", "step", "constant")
DECAYED = ("kernels", "matrices", "all")
PRECISIONS = ("float32", "bfloat16")
SHARDINGS = ("tensor", "fsdp")
DISTRIBUTED = ("off", "auto", "manual")
TRACKERS = ("tensorboard", "wandb")
RISING_SHARES = Rule(
    lambda shares: all(a < b for a, b in itertools.pairwise((0, *shares, 1))),
    "be rising shares within (0, 1)",
)
TWO_STEPS = Rule(
    lambda text: not text or (re.fullmatch(r"\d+:\d+", text) and _steps(text)),
    "be START:STOP, two steps",
)
MESH = Rule(
    re.compile(r"(\w+:\d+(,\w+:\d+)*)?").fullmatch,
    "be NAME:SIZE,…, as data:4,model:2",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(Checked, prefix="train."):
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
        skip_nonfinite: steps in a row whose loss or gradient is not finite that are
            skipped: such a step changes no weights, averages or statistics, and the
            learning rate waits for it. The run stops at one more; 0 stops at the first.
        seed: of the initial values, the order of the data, augmentation and dropout.
        log_every: steps between lines of the log.
        evaluate_every: steps between evaluations.
        checkpoint_every: steps between checkpoints, at evaluations; 0 for each of them.
        keep_latest: newest checkpoints that are kept, beside the best one.
        best_metric: metric of `evaluate` whose highest value marks the best checkpoint,
            which is kept.
    """

    num_steps: Count = 1000
    batch_size: Count = 64
    optimizer: Annotated[str, one_of(OPTIMIZERS)] = "adamw"
    learning_rate: Amount = 1e-3
    warmup_steps: Annotated[int, at_least(0)] = 100
    warmup_start: Amount = 0.0
    schedule: Annotated[str, one_of(SCHEDULES)] = "cosine"
    final_learning_rate: Amount = 0.0
    cooldown_steps: Annotated[int, at_least(0)] = 0
    milestones: Annotated[tuple[float, ...], RISING_SHARES] = (1 / 3, 2 / 3, 8 / 9)
    milestone_factor: Amount = 0.1
    momentum: Share = 0.9
    beta2: Share = 0.999
    weight_decay: Amount = 0.05
    decayed: Annotated[str, one_of(DECAYED)] = "kernels"
    clip_norm: Amount = 1.0
    label_smoothing: Share = 0.1
    accumulate: Count = 1
    precision: Annotated[str, one_of(PRECISIONS)] = "float32"
    ema_decay: Share = 0.0
    layer_decay: Annotated[float, within("(0, 1]")] = 1.0
    frozen: tuple[str, ...] = ()
    skip_nonfinite: Annotated[int, at_least(0)] = 0
    seed: int = 0
    log_every: Count = 50
    evaluate_every: Count = 500
    checkpoint_every: Annotated[int, at_least(0)] = 0
    keep_latest: Count = 2
    best_metric: str = "accuracy"

    def check_together(self) -> None:
        """What no run can have."""
        if self.cooldown_steps and self.schedule != "cosine":
            self.refuse("cooldown_steps", "be 0 where train.schedule is not cosine")
        if self.batch_size % self.accumulate:
            parts = f"train.accumulate={self.accumulate}"
            self.refuse("batch_size", f"be a multiple of {parts}")
        if self.best_metric.split("/")[-1] == "loss":
            self.refuse("best_metric", "be one whose highest value is best")
        if self.best_metric.startswith("ema/") and not self.ema_decay:
            self.refuse("best_metric", "be no average's where train.ema_decay is 0")
        for pattern in self.frozen:
            try:
                re.compile(pattern)
            except re.error as error:
                self.refuse("frozen", "hold patterns", f"{pattern!r}: {error}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Machine(Checked):
    """Where a run takes place. No result depends on it, but for rounding.

    Attributes:
        mesh: axes and sizes of the device mesh, as data:4,model:2; all devices along
            data if empty. data splits batches, model heads, seq what is long: steps of
            videos, rows of images, persons of clips.
        sharding: tensor (copies on each device, heads split over `model`) or fsdp
            (parameters and optimizer state also split over `data`).
        distributed: off, auto (a cluster that JAX recognises) or manual (the three
            fields below).
        coordinator: host:port of process 0, for manual.
        num_processes: how many there are, for manual.
        process_id: which one this is, for manual.
        meeting_timeout: seconds within which all processes must have come.
        heartbeat_timeout: seconds without a sign of life after which one is lost.
        log_to: tensorboard (a file of events in the workdir), wandb (Weights & Biases)
            or both, tensorboard,wandb, beside metrics.jsonl and metrics.csv; of report,
            for its pictures.
        profile: START:STOP writes a trace of these steps into the workdir.
        extend: a finished run goes on to a larger train.num_steps, with all else as it
            was; the learning rate follows the schedule of the new number of steps.
        resume: training goes on from this step, one that is kept, and sets the later
            ones aside; by default it does from the newest.
        whole: training goes on from the newest checkpoint that is whole, and sets newer
            ones aside; `--checkpoint=whole`.
    """

    mesh: Annotated[str, MESH] = ""
    sharding: Annotated[str, one_of(SHARDINGS)] = "tensor"
    distributed: Annotated[str, one_of(DISTRIBUTED)] = "off"
    coordinator: str = ""
    num_processes: Count = 1
    process_id: Annotated[int, at_least(0)] = 0
    meeting_timeout: Count = 300
    heartbeat_timeout: Count = 30
    log_to: tuple[Annotated[str, one_of(TRACKERS)], ...] = ()
    profile: Annotated[str, TWO_STEPS] = ""
    extend: bool = False
    resume: Annotated[int | None, at_least(1)] = None
    whole: bool = dataclasses.field(default=False, metadata={"flag": False})

    def check_together(self) -> None:
        """What cannot be read."""
        if self.distributed == "manual" and not self.coordinator:
            self.refuse("coordinator", "be HOST:PORT with distributed=manual")
        if self.distributed == "manual" and self.process_id >= self.num_processes:
            self.refuse(
                "process_id", f"be less than num_processes={self.num_processes}"
            )
        if self.whole and self.resume is not None:
            self.refuse("resume", "not be given with --checkpoint=whole")

    @property
    def profile_steps(self) -> range:
        """The steps of which a trace is written."""
        return _steps(self.profile or "0:0")


def _steps(text):
    """The steps 3 and 4 of "3:5"."""
    return range(*map(int, text.split(":")))
