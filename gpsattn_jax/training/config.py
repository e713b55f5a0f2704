"""The settings of a training run."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained; AdamW with warm-up and cosine decay.

    Attributes:
        num_steps: steps of the whole run.
        batch_size: examples of a step, over all devices together.
        learning_rate: the highest one, after the warm-up.
        warmup_steps: steps over which the learning rate rises from zero.
        weight_decay: decoupled decay of kernels; norms, biases, tables have none.
        clip_norm: largest global norm of the gradients; 0 for no clipping.
        label_smoothing: share of a label spread evenly over all classes.
        seed: of the initial values, the order of the data, augmentation and dropout.
        log_every: steps between lines of the log.
        evaluate_every: steps between evaluations; each is followed by a checkpoint.
        keep_latest: newest checkpoints that are kept, beside the best one.
        best_metric: metric of `evaluate` whose highest value marks the best checkpoint,
            which is kept.
    """

    num_steps: int = 1000
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    label_smoothing: float = 0.1
    seed: int = 0
    log_every: int = 50
    evaluate_every: int = 500
    keep_latest: int = 2
    best_metric: str = "accuracy"

    def __post_init__(self) -> None:
        """Rejects numbers that no run can have."""
        for name in ("num_steps", "batch_size", "log_every", "evaluate_every"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"train.{name} must be at least 1; got {getattr(self, name)}."
                )
        if self.best_metric == "loss":
            raise ValueError(
                "train.best_metric must be one whose highest value is best; got 'loss'."
            )
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"train.label_smoothing must be in [0, 1); got {self.label_smoothing}."
            )


# Fields that change what is logged and kept, not the numbers: a resumed run may differ.
FREE_FIELDS = ("log_every", "evaluate_every", "keep_latest")
