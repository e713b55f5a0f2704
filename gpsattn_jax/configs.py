"""Config dataclasses as plain dicts, as checkpoints and weight files keep them."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


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
    types, values = field_types(config_class), upgraded(config_class, values)
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(
            f"{config_class.__module__}.{config_class.__name__} has no field "
            f"{', '.join(where + name for name in unknown)}."
        )

    def restore(name, value):
        if dataclasses.is_dataclass(types[name]):
            return from_dict(types[name], value, f"{where}{name}.")
        return _tuples(value)

    return config_class(**{name: restore(name, v) for name, v in values.items()})


def upgraded(config_class: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Saved fields of older versions under today's names; what is unknown stays.

    A dataclass whose fields have changed has a static method `upgrade`, which makes the
    new dict out of an old one.

    Args:
        config_class: a dataclass.
        values: by field; nested dataclasses as dicts.
    """
    found = dict(getattr(config_class, "upgrade", dict)(values))
    for name, kind in field_types(config_class).items():
        if dataclasses.is_dataclass(kind) and isinstance(found.get(name), Mapping):
            found[name] = upgraded(kind, found[name])
    return found


def _tuples(value):
    """Lists as tuples, at every depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
