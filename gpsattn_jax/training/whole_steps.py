"""Which checkpoints of a run are whole: nothing is missing, nothing has changed."""

import pathlib
import sys
from collections.abc import Callable, Collection, Iterable

import jax

from gpsattn_jax.training import saved_items
from gpsattn_jax.training.checksums import Damaged, check


class WholeSteps:
    """The checkpoints in a folder, and what is wrong with their files.

    Args:
        folder: of the checkpoints, a folder with a step's number for each.
        finished: gives the steps that Orbax takes for finished.
    """

    def __init__(self, folder: pathlib.Path, finished: Callable[[], Iterable[int]]):
        self._folder, self._finished = folder, finished
        self._without_list: set[int] = set()

    def all(self) -> list[int]:
        """All steps, oldest first, damaged ones among them."""
        return sorted(self._finished())

    def check(self, step: int, items: Collection[str] | None = None) -> bool:
        """Compares a step's files with their checksums.

        Args:
            step: one of `all`.
            items: those that will be read; all of them if None.

        Returns:
            Whether it has checksums; a line says once where it has none.

        Raises:
            Damaged: names the first file that does not agree.
            FileNotFoundError: if the run has deleted the step meanwhile.
        """
        path = self._folder / str(step)
        if check(path, items):
            return True
        if step not in self._without_list:
            self._without_list.add(step)
            note(f"{path} carries no checksums: damage may not be noticed.")
        return False

    def damage(self, step: int) -> Exception | None:
        """What is wrong with a step, or None; one without checksums is read."""
        try:
            if not self.check(step):
                saved_items.read_all(self._folder / str(step))
        except (Damaged, FileNotFoundError) as error:
            return error
        return None

    def newest(self) -> int | None:
        """The newest step that is whole, or None.

        Older ones are not read. A line tells each newer one that is damaged, and why.
        """
        for step in reversed(self.all()):
            damage = self.damage(step)
            if damage is None:
                return step
            note(f"Step {step} is damaged: {damage}")
        return None

    def offer(self, step: int) -> str:
        """What to do about a damaged step: the end of a message."""
        others = (other for other in reversed(self.all()) if other != step)
        whole = next((other for other in others if self.damage(other) is None), None)
        if whole is None:
            return "There is no other whole checkpoint."
        return (
            f"--checkpoint=whole takes step {whole}, the newest that is whole; "
            f"--resume={whole} trains on from it."
        )


def note(text: str) -> None:
    """A line on standard error, of process 0."""
    if jax.process_index() == 0:
        print(text, file=sys.stderr, flush=True)
