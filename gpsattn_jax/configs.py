"""Config dataclasses: what their fields must be, and plain dicts as files keep them.

A field's annotation is its row in the table of checks:

    class TrainConfig(Checked, prefix="train."):
        num_steps: Annotated[int, at_least(1)] = 1000

`TrainConfig(num_steps=0)` raises "train.num_steps must be at least 1; got 0.".
"""

import dataclasses
import functools
import numbers
import operator
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, NoReturn, TypeVar

T = TypeVar("T")


class Rule(NamedTuple):
    """What a value must satisfy; `text` goes on after "must", as in "be odd"."""

    fits: Callable[[Any], Any]
    text: str


def one_of(choices: Iterable[str]) -> Rule:
    """One of some names."""
    names = tuple(choices)
    return Rule(names.__contains__, f"be one of {', '.join(names)}")


def within(interval: str, text: str = "") -> Rule:
    """A number in an interval as mathematics writes it: "[0, 1)", "(0, inf)"."""
    low, high = map(float, interval[1:-1].split(","))
    from_low = operator.le if interval[0] == "[" else operator.lt
    to_high = operator.le if interval[-1] == "]" else operator.lt
    return Rule(
        lambda value: from_low(low, value) and to_high(value, high),
        text or f"be in {interval}",
    )


def at_least(least: float, text: str = "") -> Rule:
    """A finite number from `least` on."""
    return within(f"[{least}, inf)", text or f"be at least {least}")


def above(bound: float) -> Rule:
    """A finite number greater than `bound`."""
    return within(f"({bound}, inf)", f"be above {bound}")


def rising_pair(interval: str, text: str) -> Rule:
    """Two numbers in an interval, the second one no smaller than the first."""
    inside = within(interval).fits
    return Rule(
        lambda pair: len(pair) == 2 and pair[0] <= pair[1] and all(map(inside, pair)),
        text,
    )


Count = Annotated[int, at_least(1)]
Amount = Annotated[float, at_least(0)]
Share = Annotated[float, within("[0, 1)")]


class Checked:
    """A base of config dataclasses, whose fields are checked when one is made.

    Numbers, text, truth values, tuples of them and nested configs must have their
    annotated type and satisfy its rules; lists and arrays become tuples. `prefix`
    stands before a field's name in messages, so that it is the flag's.

    Raises:
        ValueError: names the field, what it must be, and what was got.
    """

    prefix: ClassVar[str] = ""

    def __init_subclass__(cls, prefix: str = "") -> None:
        cls.prefix = prefix

    def __post_init__(self) -> None:
        own: Any = type(self)
        for name, (plain, kind) in _annotations(own).items():
            value = getattr(self, name)
            if typing.get_origin(plain) is tuple:
                value = _tuples(value)
                object.__setattr__(self, name, value)
            if not _has_type(value, plain):
                self.refuse(name, f"be a {_noun(plain)}")
            for rule, part in _rules(kind, value):
                if not rule.fits(part):
                    self.refuse(name, rule.text)
            if _has_nan(value):
                self.refuse(name, f"be a {_noun(plain)}")
        self.check_together()

    def check_together(self) -> None:
        """Checks fields against each other; each of them is right by itself."""

    def check_lengths(self, names: Iterable[str], field: str, parts: str) -> None:
        """Refuses tuples that have not one entry for each of a field's.

        Args:
            names: of the fields.
            field: the one that says how many.
            parts: what they are, "stages".
        """
        counted = getattr(self, field)
        for name in names:
            if len(getattr(self, name)) != len(counted):
                each = f"each of the {len(counted)} {parts} of {field}={counted}"
                self.refuse(name, f"have one entry for {each}")

    def refuse(self, field: str, text: str, got: str | None = None) -> NoReturn:
        """Raises the ValueError of a field.

        Args:
            field: its name, "train.seed" for one of a nested config.
            text: what goes on after "must".
            got: what was got, if not the field's value.
        """
        got = repr(operator.attrgetter(field)(self)) if got is None else got
        raise ValueError(f"{self.prefix}{field} must {text}; got {got}.")


_TYPES = {bool: bool, int: numbers.Integral, float: numbers.Real, str: str}
_NOUNS = {bool: "truth value", int: "whole number", float: "number", str: "string"}


@functools.cache
def _annotations(config_class):
    """Each field's type without its rules, and with them."""
    kinds = typing.get_type_hints(config_class, include_extras=True)
    return {
        name: (kind, kinds[name]) for name, kind in field_types(config_class).items()
    }


def _has_type(value: Any, kind: Any) -> bool:
    """Whether a value has a field's type; arrays and the like pass."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return len(kinds) == len(value) and all(map(_has_type, value, kinds))
    if origin is types.UnionType:
        return any(_has_type(value, choice) for choice in arguments)
    if kind in _TYPES:  # True is a whole number to Python, and none here
        truth = isinstance(value, bool)
        return truth == (kind is bool) and isinstance(value, _TYPES[kind])
    checked = kind is types.NoneType or dataclasses.is_dataclass(kind)
    return not checked or isinstance(value, kind)


def _noun(kind):
    """A type in words: "whole number", "tuple of 2 numbers"."""
    if typing.get_origin(kind) is types.UnionType:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is tuple:
        entry, *others = typing.get_args(kind)
        count = "" if others == [...] else f"{1 + len(others)} "
        return f"tuple of {count}{_NOUNS.get(entry, 'tuple')}s"
    return _NOUNS.get(kind) or kind.__qualname__


def _rules(kind, value):
    """(rule, what it is about): the value if there is one, and entries of a tuple."""
    if value is not None and typing.get_origin(kind) is Annotated:
        kind, *rules = typing.get_args(kind)
        yield from _rules(kind, value)
        yield from ((rule, value) for rule in rules)
    elif typing.get_origin(kind) is tuple:
        for entry in value:
            yield from _rules(typing.get_args(kind)[0], entry)


def _has_nan(value):
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    return isinstance(value, numbers.Real) and value != value  # of any size


def field_types(config_class: type) -> dict[str, Any]:
    """The types of a dataclass's fields by name, annotations resolved."""
    hints = typing.get_type_hints(config_class)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_class)}


def from_dict(config_class: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """The inverse of `dataclasses.asdict`, through JSON: lists become tuples again.

    Fields of older versions are read as today's, see `upgraded`.

    Args:
        config_class: a dataclass.
        values: by field; nested dataclasses as dicts.
        where: what stands before a field's name in an error.

    Raises:
        ValueError: names a field that the dataclass does not have.
    """
    if not isinstance(values, Mapping):
        what = where.removesuffix(".") or config_class.__name__
        raise ValueError(f"{what} must hold fields; got a {type(values).__name__}.")
    kinds, values = field_types(config_class), upgraded(config_class, values)
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise ValueError(
            f"{config_class.__module__}.{config_class.__name__} has no field "
            f"{', '.join(where + name for name in unknown)}."
        )

    def restore(name, value):
        if dataclasses.is_dataclass(kinds[name]):
            return from_dict(kinds[name], value, f"{where}{name}.")
        return _tuples(value)

    return config_class(**{name: restore(name, v) for name, v in values.items()})


def upgraded(config_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Saved fields of older versions under today's names; what is unknown stays.

    A dataclass whose fields have changed has a static method `upgrade`, which makes the
    new dict out of an old one.

    Args:
        config_class: a dataclass.
        values: by field; nested dataclasses as dicts.
    """
    found = dict(getattr(config_class, "upgrade", dict)(values))
    kinds = field_types(config_class)
    for name in kinds:
        if dataclasses.is_dataclass(kinds[name]) and isinstance(
            found.get(name), Mapping
        ):
            found[name] = upgraded(kinds[name], found[name])
    return found


def default_values(config_class: type) -> dict[str, Any]:
    """The defaults of a dataclass's fields, nested as `dataclasses.asdict` has them."""
    made: dict[str, Any] = {}
    own: Any = config_class
    for field in dataclasses.fields(own):
        if field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        elif dataclasses.is_dataclass(kind := field_types(own)[field.name]):
            made[field.name] = default_values(typing.cast(type, kind))
            continue
        else:
            continue
        nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
        made[field.name] = dataclasses.asdict(value) if nested else value
    return made


def _tuples(value):
    """Lists and arrays as tuples of plain numbers, at every depth."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
