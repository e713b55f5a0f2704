"""What fields of configs must be: one table of checks for all of them."""

import contextlib
import dataclasses
import importlib
import pkgutil
import re
import typing
from typing import Annotated

import numpy as np
import pytest

import gpsattn_jax
from gpsattn_jax.configs import (
    Checked,
    Count,
    Rule,
    Share,
    above,
    at_least,
    field_types,
    from_dict,
    one_of,
    rising_pair,
    within,
)

RISING = rising_pair("(0, 1]", "rise within (0, 1]")
EVEN = Rule(lambda number: number % 2 == 0, "be even")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part(Checked, prefix="part."):
    count: Count = 1
    share: Share = 0.0
    size: Annotated[float | None, above(0)] = None
    kind: Annotated[str, one_of(("big", "small"))] = "big"
    steps: tuple[Count, ...] = (1, 2)
    pair: Annotated[tuple[float, float], RISING] = (0.5, 1.0)
    angle: float = 0.0
    closed: Annotated[float, within("[0, 1]")] = 1.0
    turned: tuple[float, float, float] = (0.0, 0.0, 0.0)
    edges: tuple[tuple[int, int], ...] = ()
    deep: bool = True
    parts: Annotated[int, at_least(0), EVEN] = 0

    def check_together(self):
        if self.count > len(self.steps):
            self.refuse("count", f"be at most {len(self.steps)}, as steps has them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole(Checked):
    part: Part = Part()
    name: str = ""

    def check_together(self):
        if self.part.parts == 8:
            self.refuse("part.parts", "not be 8")


NAN = float("nan")
REFUSED = [
    ({"count": 0}, "count must be at least 1; got 0."),
    ({"count": "3"}, "count must be a whole number; got '3'."),
    ({"count": 2.0}, "count must be a whole number; got 2.0."),
    ({"count": True}, "count must be a whole number; got True."),
    ({"count": None}, "count must be a whole number; got None."),
    ({"count": 3}, "count must be at most 2, as steps has them; got 3."),
    ({"share": 1}, "share must be in [0, 1); got 1."),
    ({"share": NAN}, "share must be in [0, 1); got nan."),
    ({"share": "0.5"}, "share must be a number; got '0.5'."),
    ({"size": 0.0}, "size must be above 0; got 0.0."),
    ({"size": float("inf")}, "size must be above 0; got inf."),
    ({"size": "big"}, "size must be a number; got 'big'."),
    ({"kind": "tall"}, "kind must be one of big, small; got 'tall'."),
    ({"kind": 3}, "kind must be a string; got 3."),
    ({"steps": (1, 0)}, "steps must be at least 1; got (1, 0)."),
    ({"steps": (1, 2.0)}, "steps must be a tuple of whole numbers; got (1, 2.0)."),
    ({"steps": 3}, "steps must be a tuple of whole numbers; got 3."),
    ({"steps": "12"}, "steps must be a tuple of whole numbers; got '12'."),
    ({"pair": (0.5,)}, "pair must be a tuple of 2 numbers; got (0.5,)."),
    ({"pair": (1.0, 0.5)}, "pair must rise within (0, 1]; got (1.0, 0.5)."),
    ({"pair": (0.5, NAN)}, "pair must rise within (0, 1]; got (0.5, nan)."),
    ({"angle": NAN}, "angle must be a number; got nan."),
    ({"closed": 1.01}, "closed must be in [0, 1]; got 1.01."),
    ({"turned": (1, 2)}, "turned must be a tuple of 3 numbers; got (1, 2)."),
    ({"turned": (1, 2, NAN)}, "turned must be a tuple of 3 numbers; got (1, 2, nan)."),
    ({"edges": ((0, 1, 2),)}, "edges must be a tuple of tuples; got ((0, 1, 2),)."),
    ({"deep": 1}, "deep must be a truth value; got 1."),
    ({"parts": -2}, "parts must be at least 0; got -2."),
    ({"parts": 3}, "parts must be even; got 3."),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED, ids=lambda value: str(value))
def test_a_wrong_field_is_named_with_its_flag(fields, message):
    with pytest.raises(ValueError, match=f"^part.{re.escape(message)}$"):
        Part(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"count": np.int64(2), "share": np.float32(0.5), "angle": -1},
        {"size": 0.1, "closed": 0, "parts": 6, "kind": "small", "deep": False},
        {"pair": (1.0, 1.0), "turned": (1, 2.5, -3), "edges": ((0, 1), (1, 2))},
        {"count": 1, "steps": (4,)},
    ],
)
def test_what_fits_is_kept_as_it_is(fields):
    part = Part(**fields)
    assert {name: getattr(part, name) for name in fields} == fields


def test_lists_and_arrays_become_tuples():
    part = Part(steps=[1, 2], pair=np.array([0.5, 1.0]), edges=np.array([[0, 1]]))
    assert (part.steps, part.pair, part.edges) == ((1, 2), (0.5, 1.0), ((0, 1),))
    hash(part)


def test_nested_configs_are_checked():
    with pytest.raises(ValueError, match="^part.parts must not be 8; got 8.$"):
        Whole(part=Part(parts=8))
    with pytest.raises(ValueError, match="^part must be a Part; got 3.$"):
        Whole(part=3)
    assert from_dict(Whole, {"part": {"steps": [3]}}) == Whole(part=Part(steps=(3,)))
    with pytest.raises(ValueError, match="^part.steps must be at least 1"):
        from_dict(Whole, {"part": {"steps": [0]}})


# Every config of the package.


def configs():
    """All classes of the package that are checked, but for this file's."""
    for module in pkgutil.walk_packages(gpsattn_jax.__path__, "gpsattn_jax."):
        with contextlib.suppress(ImportError):  # an extra that is not installed
            importlib.import_module(module.name)
    found = [one for one in Checked.__subclasses__() if "gpsattn" in one.__module__]
    return sorted(found, key=lambda one: (one.__module__, one.__qualname__))


CONFIGS = configs()
EXAMPLES = {"Crop": {"size": 8}}


def fields_of(choose):
    return [
        pytest.param(one, name, id=f"{one.__module__}.{name}")
        for one in CONFIGS
        for name, kind in field_types(one).items()
        if choose(kind)
    ]


def is_number(kind):
    return {int, float} & {kind, *typing.get_args(kind)} and not is_tuple(kind)


def is_tuple(kind):
    return typing.get_origin(kind) is tuple


def refused(one, name, value):
    """The error that a value of a field raises."""
    with pytest.raises(ValueError) as raised:
        one(**EXAMPLES.get(one.__name__, {}) | {name: value})
    assert str(raised.value).startswith(f"{one.prefix}{name} must ")
    assert str(raised.value).endswith(f"; got {value!r}.")


def test_the_package_has_its_checked_configs():
    names = {f"{one.__module__.removeprefix('gpsattn_jax.')}" for one in CONFIGS}
    assert names >= {
        "models.gpsnet.config", "models.gsanet", "models.pglsum",
        "models.transxnet.config", "models.efficientnet_lite", "training.config",
        "data.images.augment.recipe", "data.images.crop", "data.skeletons.recipe",
        "data.skeletons.load", "systems.pglsum.setups", "systems.gpsnet.stream",
        "systems.video_summary.result",
    }  # fmt: skip


@pytest.mark.parametrize(("one", "name"), fields_of(is_number))
def test_text_is_no_number(one, name):
    refused(one, name, "3")


@pytest.mark.parametrize(("one", "name"), fields_of({float, float | None}.__contains__))
def test_nan_is_no_number(one, name):
    refused(one, name, NAN)


@pytest.mark.parametrize(("one", "name"), fields_of(is_tuple))
def test_tuples_have_entries_of_their_type(one, name):
    refused(one, name, 3)
    refused(one, name, (None, 1))
    if typing.get_args(field_types(one)[name])[-1] is not Ellipsis:
        refused(one, name, (0.5,))
