"""Checkpoints of a run: they are kept by Orbax, and whole or refused."""

import contextlib
import os
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers

from gpsattn_jax.stacks import has_stacks
from gpsattn_jax.training import saved_items
from gpsattn_jax.training.block_checkpoints import request_blocks, stack_blocks
from gpsattn_jax.training.checksums import MARK, Damaged, write_checksums
from gpsattn_jax.training.config import TrainConfig
from gpsattn_jax.training.saved_items import read_object
from gpsattn_jax.training.saved_scores import Scores
from gpsattn_jax.training.state import TrainState
from gpsattn_jax.training.whole_steps import WholeSteps, note


class Checkpoints:
    """The checkpoints of one run, newest and best kept.

    Params, batch statistics, optimizer, data position and metadata are separate items,
    so that weights can be read without the optimizer. Each has checksums of its files,
    which are compared before a file is read. Use as a context manager: leaving waits
    for saves under way.

    Args:
        folder: where they are; made on the first save.
        best_metric: the metric whose highest value marks the best checkpoint; None for
            the one that the run's settings name.
        keep_latest: newest checkpoints that are kept beside the best one.
        read_only: for evaluation; nothing is written or deleted.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        best_metric: str | None = "accuracy",
        keep_latest: int = 2,
        read_only: bool = False,
    ):
        self.folder = pathlib.Path(folder).resolve()
        self._best_metric = best_metric
        self._scores = Scores(self.folder, self._metric)
        self._whole = WholeSteps(self.folder, lambda: self._manager.all_steps())
        self._saving = 0
        self._read_only = read_only
        # The policy decides what stays: `best_fn` with `max_to_keep` would delete the
        # newest. `best_fn` alone makes Orbax write the metrics down; `Scores` reads
        # them, since Orbax opens no run of which one file of metrics is damaged.
        self._policy = checkpoint_managers.AnyPreservationPolicy(
            [checkpoint_managers.LatestN(keep_latest), self._scores]
        )
        self._manager = self._open()

    def __enter__(self) -> "Checkpoints":
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for saves under way."""
        with self._writing():
            self._manager.close()

    def steps(self) -> list[int]:
        """The steps at which there is a checkpoint, oldest first."""
        return self._whole.all()

    def latest(self) -> int | None:
        """The newest step, or None."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The step of the highest metric (the newest of equals), or None.

        A step whose metrics are damaged does not count; a line says so.
        """
        scores = {}
        for step in self.steps():
            try:
                scores[step] = self._scores.of(step)
            except Damaged as error:
                note(f"{error} Step {step} is left out in the search for the best.")
        known = [(value, step) for step, value in scores.items() if value is not None]
        return max(known)[1] if known else None

    def newest_whole(self) -> int | None:
        """The newest step of which no file is damaged, or None.

        Older ones are not read. A line tells each newer one that is damaged, and why.
        """
        return self._whole.newest()

    def set_damaged_aside(self) -> None:
        """Moves the steps after the newest whole one into a folder beside this one.

        Raises:
            ValueError: if there are checkpoints, but none is whole; all of them stay.
        """
        steps, whole = self.steps(), self.newest_whole()
        if steps and whole is None:
            raise ValueError(f"{self.folder}: no checkpoint is whole; none was moved.")
        later = steps[steps.index(whole) + 1 :] if whole is not None else []
        self._set_aside(later, "damaged")

    def set_later_aside(self, step: int) -> None:
        """Moves the steps after one, from which the run goes on, likewise."""
        self._set_aside([other for other in self.steps() if other > step], "later")

    def check_kept(self, step: int) -> None:
        """Makes sure that a run can go on from a step.

        Raises:
            ValueError: if there is no such step, or it is damaged.
        """
        steps = self.steps()
        if step not in steps:
            kept = ", ".join(map(str, steps)) or "none"
            raise ValueError(
                f"resume must be a step that is kept in {self.folder}: {kept}; "
                f"got {step}."
            )
        damage = self._whole.damage(step)
        if damage is not None:
            raise Damaged(f"{damage} {self._whole.offer(step)}")

    def has_item(self, step: int, name: str) -> bool:
        """Whether something was saved at a step."""
        return name in saved_items.item_names(self.folder / str(step))

    def wait(self) -> None:
        """Waits for a save under way."""
        with self._writing():
            self._manager.wait_until_finished()

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
        self._scores.remember(step, metrics)
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
            self._manager.wait_until_finished()  # its end lists the files of a step
            self._saving = step
            self._manager.save(
                step, args=items, metrics=metrics, force=True, custom_metadata=MARK
            )

    def restore(
        self, step: int, target: TrainState
    ) -> tuple[TrainState, dict[str, Any]]:
        """The run at a step: (state, data position).

        Args:
            step: one of `steps()`.
            target: the state's shapes, from `jax.eval_shape`.

        Raises:
            ValueError: if the checkpoint does not hold such a state, or is damaged.
        """
        trees = target._asdict() | {"position": None}
        if target.ema is None:
            trees.pop("ema")
        if target.skipped is None or not self.has_item(step, "skipped"):
            trees.pop("skipped")
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

    def position(self, step: int) -> dict[str, Any]:
        """Where the data stood."""
        return self._restore(step, {"position": None})["position"]

    def metadata(self, step: int) -> dict[str, Any]:
        """What `save` was given as metadata."""
        return self._restore(step, {"metadata": None})["metadata"]

    def metadata_file(self, step: int) -> pathlib.Path:
        """Where `metadata` is read from, for messages."""
        return saved_items.json_file(self.folder / str(step), "metadata")

    def _set_aside(self, steps, why):
        """Moves steps into a folder beside this one; a line tells each."""
        _meet("all have read")
        for step in steps:
            if jax.process_index() == 0:
                aside = self.folder.with_name(f"{self.folder.name}-{why}")
                path = saved_items.move(self.folder / str(step), aside)
                note(f"Step {step} is set aside as {path}.")
            self._scores.forget(step)
        _meet("set aside")
        self._manager.close()
        self._manager = self._open()

    def _open(self):
        return ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=self._policy,
                best_fn=self._scores.value,
                create=not self._read_only,
                read_only=self._read_only,
                cleanup_tmp_directories=not self._read_only,
                lightweight_initialize=True,  # it reads no metrics
                async_options=ocp.AsyncOptions(
                    post_finalization_callback=self._list_files
                ),
            ),
        )

    def _restore(self, step, trees):
        """Items by name; None stands for JSON, a tree of shapes for arrays."""
        trees = {name: tree for name, tree in trees.items() if name != "step"}
        nothing = {
            name: tree
            for name, tree in trees.items()
            if tree is not None and not jax.tree.leaves(tree)
        }
        trees = {name: tree for name, tree in trees.items() if name not in nothing}
        path = self.folder / str(step)
        try:
            listed = self._whole.check(step, trees)
            found = {
                n: read_object(path, n) for n, tree in trees.items() if tree is None
            }
            arrays = {name: tree for name, tree in trees.items() if tree is not None}
            if arrays:
                found |= self._restore_arrays(step, arrays, listed)
        except Damaged as error:
            raise Damaged(f"{error} {self._whole.offer(step)}") from error
        return found | nothing

    def _restore_arrays(self, step, trees, listed):
        requests = {n: ocp.args.StandardRestore(tree) for n, tree in trees.items()}
        path = self.folder / str(step)
        try:
            args = ocp.args.Composite(**requests)
            return dict(self._manager.restore(step, args=args).items())
        except Exception as error:  # Orbax and its storage raise all sorts of things
            blocks = self._restore_blocks(step, trees)
            if blocks is not None:
                return blocks
            reason = saved_items.one_line(error)
            if not listed and saved_items.fits(path, trees):
                raise Damaged(f"{path} cannot be read: {reason}") from error
            raise ValueError(f"{path} does not fit this network: {reason}") from error

    def _list_files(self):
        """Writes checksums when all files are there, before the step gets its name."""
        name = str(self._saving)
        unnamed = [*self.folder.glob(f"{name}.orbax-checkpoint-tmp*")]
        newest = max(unnamed, key=os.path.getmtime, default=self.folder / name)
        write_checksums(newest)

    def _restore_blocks(self, step, trees):
        """Items from before alike blocks were stacked; None if they are none such."""
        if not has_stacks(trees):
            return None
        folder = self.folder / str(step)
        try:
            requests = {
                name: ocp.args.StandardRestore(request_blocks(folder / name, tree))
                for name, tree in trees.items()
            }
            items = self._manager.restore(step, args=ocp.args.Composite(**requests))
            return {
                name: stack_blocks(items[name], tree, moments=name == "opt_state")
                for name, tree in trees.items()
            }
        except (ValueError, KeyError, TypeError, OSError):
            return None

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

    def _metric(self):
        if self._best_metric is None:
            self._best_metric = self._saved_metric()
        return self._best_metric

    def _saved_metric(self):
        """The best metric's name in the settings of the newest step that is read."""
        for step in reversed(self.steps()):
            with contextlib.suppress(ValueError):
                train = self.metadata(step).get("train")
                name = train.get("best_metric") if isinstance(train, dict) else None
                if isinstance(name, str):
                    return name
        return TrainConfig.best_metric


def _meet(where):
    """Waits for the other processes."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"checkpoints: {where}")
