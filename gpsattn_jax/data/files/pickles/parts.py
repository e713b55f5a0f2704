"""What the machine for pickles builds with, and what it says of what it will not."""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

MOST_HASHED = 2**60  # integers beyond may all have the same hash


class Builder:
    """What a file gets for a name: it can be called, and nothing else."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class Inert:
    """Stands for a class, or an object of it, of which nothing is kept but its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        """Its name: what an error says of it."""
        return f"<{self.name}>"


class Pending:
    """What a call has begun and a state completes, such as an array.

    Args:
        finish: state -> the value.
    """

    def __init__(self, finish: Callable[[Any], Any]) -> None:
        self.finish = finish
        self.places: list[int] = []


def plain_dict(items: Iterable[Iterable[Any]] = ()) -> dict:
    """A dict whose keys are quick to hash."""
    result = {}
    for key, value in items:
        _check_hash(key, "dict has a key")
        result[key] = value
    return result


def plain_set(members: Iterable[Any] = ()) -> set:
    """A set whose members are quick to hash."""
    result = set()
    for member in members:
        _check_hash(member, "set has a member")
        result.add(member)
    return result


def _check_hash(key, what):
    # To hash a deep tuple would break the stack, or take for ever.
    kinds = str | int | float | bytes | Inert | Builder
    plain = key is None or isinstance(key, kinds)
    check(plain, f"a {what} of type {type(key).__name__}")
    small = not isinstance(key, int) or abs(key) < MOST_HASHED
    check(small, f"a {what} beyond 2**60")


def check(fine: bool, complaint: str) -> None:
    """Raises ValueError unless it is fine."""
    if not fine:
        raise ValueError(complaint)


def reason(error: Exception) -> str:
    """What is wrong with a pickle, from whatever reading it raised."""
    why = str(error) if isinstance(error, ValueError) else ""
    return f"{why or f'it is damaged ({type(error).__name__}: {error})':.400}"


def refuse(name: str) -> NoReturn:
    """Raises ValueError for a name that might run code."""
    raise ValueError(f"it holds {name}, which might run code")
