"""Checkpoints of a run: the only place that knows Orbax."""

import contextlib
import logging
import os
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from gpsattn_jax.stacks import has_stacks
from gpsattn_jax.training.block_checkpoints import request_blocks, stack_blocks
from gpsattn_jax.training.state import TrainState

_LOG = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run, newest and best kept.

    Params, batch statistics, optimizer, data position and metadata are separate items,
    so that weights can be read without the optimizer. Use as a context manager: leaving
    waits for saves under way.

    Args:
        folder: where they are; made on the first save.
        best_metric: the metric whose highest value marks the best checkpoint.
        keep_latest: newest checkpoints that are kept beside the best one.
        read_only: for evaluation; nothing is written or deleted.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        best_metric: str = "accuracy",
        keep_latest: int = 2,
        read_only: bool = False,
    ):
        self.folder = pathlib.Path(folder).resolve()
        self._best_metric = best_metric
        # The policy decides what stays: `best_fn` with `max_to_keep` would delete the
        # newest. `best_fn` alone makes Orbax write the metrics down.
        policy = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(keep_latest),
                checkpoint_managers.BestN(
                    get_metric_fn=self._metric,
                    n=1,
                    keep_checkpoints_without_metrics=False,
                ),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=policy,
                best_fn=self._metric,
                create=not read_only,
                read_only=read_only,
                cleanup_tmp_directories=not read_only,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for saves under way."""
        with self._writing():
            self._manager.close()

    def steps(self) -> list[int]:
        """The steps at which there is a checkpoint, oldest first."""
        return sorted(self._manager.all_steps())

    def latest(self) -> int | None:
        """The newest step, or None."""
        return self._manager.latest_step()

    def best(self) -> int | None:
        """The step of the highest metric (the newest of equals), or None."""
        return self._manager.best_step()

    def save(
        self,
        state: TrainState,
        *,
        position: dict[str, Any],
        metadata: dict[str, Any],
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Saves in the background; a half-written checkpoint is never taken for one.

        Args:
            state: of the run, with the step under which it is kept.
            position: where the data stands, as JSON keeps it.
            metadata: the run's settings, likewise.
            metrics: of the evaluation at this step, if there was one.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        if metrics is not None:
            self._metric(metrics)  # may not be there: an error of the settings
        trees = {name: tree for name, tree in state._asdict().items() if name != "step"}
        items = ocp.args.Composite(
            **{
                name: ocp.args.StandardSave(tree)
                for name, tree in trees.items()
                if jax.tree.leaves(tree)  # Orbax refuses to save nothing
            },
            position=ocp.args.JsonSave(position),
            metadata=ocp.args.JsonSave(metadata),
        )
        with self._writing(step):
            self._manager.save(step, args=items, metrics=metrics, force=True)

    def restore(
        self, step: int, target: TrainState
    ) -> tuple[TrainState, dict[str, Any]]:
        """The run at a step: (state, data position).

        Args:
            step: one of `steps()`.
            target: the state's shapes, from `jax.eval_shape`.

        Raises:
            ValueError: if the checkpoint does not hold such a state.
        """
        trees = target._asdict() | {"position": None}
        if target.ema is None:
            trees.pop("ema")
        items = self._restore(step, trees)
        position = items.pop("position")
        return TrainState(step=jax.numpy.int32(step), **items), position

    def restore_weights(
        self, step: int, params: Any, model_state: Any, *, averaged: bool = False
    ) -> tuple[Any, Any]:
        """The weights at a step: (params, model_state).

        Args:
            step: one of `steps()`.
            params: their shapes.
            model_state: likewise.
            averaged: the moving averages instead.
        """
        trees = {"params": params, "model_state": model_state}
        if averaged:
            trees = self._restore(step, {"ema": trees})["ema"]
        else:
            trees = self._restore(step, trees)
        return trees["params"], trees["model_state"]

    def metadata(self, step: int) -> dict[str, Any]:
        """What `save` was given as metadata."""
        return self._restore(step, {"metadata": None})["metadata"]

    def _restore(self, step, trees):
        """Items by name; None stands for JSON, a tree of shapes for arrays."""
        trees = {name: tree for name, tree in trees.items() if name != "step"}
        nothing = {
            name: tree
            for name, tree in trees.items()
            if tree is not None and not jax.tree.leaves(tree)
        }
        requests = {
            name: ocp.args.JsonRestore()
            if tree is None
            else ocp.args.StandardRestore(tree)
            for name, tree in trees.items()
            if name not in nothing
        }
        try:
            items = self._restore_stacks(step, requests)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.folder / str(step)} does not fit this network: {error}"
            ) from error
        return dict(items.items()) | nothing

    def _restore_stacks(self, step, requests):
        """Items as they are now, or as they were before alike blocks were stacked."""
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**requests))
        except (ValueError, KeyError, TypeError):
            targets = {
                name: request.item
                for name, request in requests.items()
                if isinstance(request, ocp.args.StandardRestore)
            }
            if not has_stacks(targets):
                raise
            folder = self.folder / str(step)
            try:
                blocks = {
                    name: ocp.args.StandardRestore(request_blocks(folder / name, tree))
                    for name, tree in targets.items()
                }
                items = self._manager.restore(
                    step, args=ocp.args.Composite(**requests | blocks)
                )
                return dict(items.items()) | {
                    name: stack_blocks(items[name], tree, moments=name == "opt_state")
                    for name, tree in targets.items()
                }
            except (ValueError, KeyError, TypeError, OSError):
                pass
            raise

    @contextlib.contextmanager
    def _writing(self, step=None):
        """Tells a failed write in one line; a save in the background fails later."""
        try:
            yield
        except Exception as error:  # Orbax and its storage raise all sorts of things
            what = "a checkpoint" if step is None else f"the checkpoint of step {step}"
            reason = str(error).strip().splitlines()[0] if str(error) else repr(error)
            whole = ", ".join(map(str, self.steps())) or "none"
            raise OSError(
                f"{self.folder}: {what}, or the one before it, could not be written: "
                f"{reason}. Whole checkpoints: {whole}."
            ) from error

    def _metric(self, metrics):
        if self._best_metric not in metrics:
            raise ValueError(
                f"train.best_metric must be one of "
                f"{', '.join(m for m in metrics if not m.endswith('loss'))}; "
                f"got {self._best_metric!r}."
            )
        return metrics[self._best_metric]
