"""Networks from the config that `convert.save` kept beside their arrays."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.torch_keys import ConversionError, fill
from gpsattn_jax.modules.functional import Functional

T = TypeVar("T")

# Building takes time for every block, and memory for every pair of joints.
MOST_ENTRIES, MOST_NUMBER = 1000, 10**7
_BLOCKS = ("layers", "depths")


def load_saved(
    build: Callable[[Any], Functional],
    config_class: type[T],
    arrays: dict[str, np.ndarray],
    metadata: Mapping[str, str],
    **changes: Any,
) -> tuple[T, Functional, dict, dict]:
    """A network of our own file: (config, network, params, state).

    Args:
        build: config -> network.
        config_class: of the config.
        arrays: by our paths.
        metadata: of the file.
        **changes: fields of the config to replace.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if the file keeps no config, or one that makes no network; says
            which field where it can.
    """
    config = saved_config(config_class, metadata)
    config = dataclasses.replace(config, **changes)  # type: ignore[type-var]
    try:
        network = build(config)
        return config, network, *fill(network, arrays)
    except ConversionError:
        raise
    except Exception as error:  # numbers that nothing can be built of
        raise _no_network(error) from error


def saved_config(config_class: type[T], metadata: Mapping[str, str]) -> T:
    """The config that `save` kept beside the arrays.

    Raises:
        ValueError: if it kept none, or one that is out of bounds.
    """
    fields = saved_fields(metadata)
    if fields is None:
        raise ValueError(
            "These weights carry no config; save them with "
            "convert.save(path, params, state, config)."
        )
    try:
        return from_dict(config_class, fields)
    except Exception as error:  # whatever stands where a number should
        raise _no_network(error) from error


def saved_fields(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """The config as plain values; None if the file has none.

    Raises:
        ValueError: for what is no dict of plain values within bounds.
    """
    if "config" not in metadata:
        return None
    try:
        fields = json.loads(metadata["config"])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its config is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"its config must be a dict; got {type(fields).__name__}.")
    check_bounds(fields, "config")
    return fields


def check_bounds(fields: Mapping[str, Any], what: str) -> None:
    """Raises ValueError for a network's config that would take for ever to build.

    Args:
        fields: plain values, as JSON has them.
        what: they are; begins the names in messages.
    """
    for name, value in fields.items():
        _check(f"{what}.{name}", value)
        if isinstance(value, dict):  # a network inside of another
            check_bounds(value, f"{what}.{name}")
        if name in _BLOCKS and isinstance(value, list):
            _check_blocks(f"{what}.{name}", value)


def _check(name, value):
    if isinstance(value, list | dict):
        if len(value) > MOST_ENTRIES:
            raise ValueError(
                f"its {name} must have at most {MOST_ENTRIES} entries; "
                f"got {len(value)}."
            )
        for entry in value.values() if isinstance(value, dict) else value:
            _check(name, entry)
    elif isinstance(value, int | float) and not abs(value) <= MOST_NUMBER:
        raise ValueError(
            f"its {name} must be at most {MOST_NUMBER:,}; got {str(value):.30}."
        )


def _check_blocks(name, counts):
    total = sum(count for count in counts if isinstance(count, int))
    if total > MOST_ENTRIES:
        raise ValueError(
            f"its {name} must be at most {MOST_ENTRIES} blocks together; got {total}."
        )


def _no_network(error):
    what = str(error) if isinstance(error, ValueError) else repr(error)
    return ValueError(f"its config makes no network: {what:.400}")
