"""Which splits of a data set a command asks for."""

from collections.abc import Callable, Sequence


def chosen_splits(
    split: str | None, own: int, count: Callable[[], int]
) -> Sequence[int]:
    """Numbers of splits.

    Args:
        split: a number, or "all"; None for the config's own.
        own: the config's.
        count: how many there are.

    Raises:
        ValueError: if it is neither.
    """
    if split is None:
        return [own]
    if split == "all":
        return range(count())
    if not split.isdigit():
        raise ValueError(f"split must be a number or all; got {split!r}.")
    return [int(split)]
