"""Forms of a kernel against each other: which one a platform should have.

`kernels/depthwise.py` and RandAugment choose theirs by platform in one place each. Here
all forms run, whatever is chosen, beside what the libraries have.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

from benchmarks import depthwise as on_cpus
from benchmarks.accelerator import card
from benchmarks.accelerator.rows import Row
from gpsattn_jax.data.images.augment import randaugment
from gpsattn_jax.kernels import attend_blocked, depthwise, depthwise_conv

CODE = ("accelerator/kernels.py", "depthwise.py")
CASES = (
    on_cpus.Case(56, 48),
    on_cpus.Case(56, 24, each=True),
    on_cpus.Case(14, 224),
    on_cpus.Case(14, 112, each=True),
    on_cpus.Case(56, 48, 3),
    on_cpus.Case(56, 24, 11, 8),
)
PASSES = ("forward", "forward and backward")
LENGTHS = (1024, 4096, 16_384)


@dataclasses.dataclass(frozen=True)
class Attention:
    """A case of attention.

    Attributes:
        length: T, and S.
        heads: N.
        size: D.
        biased: with a bias by distance, which the others have spelled out.
    """

    length: int
    heads: int = 8
    size: int = 128
    biased: bool = False


def rows(tiny: bool) -> Iterator[Row]:
    """Depthwise convolution, attention, RandAugment."""
    batch = 2 if tiny else 64
    for case in (on_cpus.Case(8, 4, 3), on_cpus.Case(8, 4, 3, 2, True)) * tiny or CASES:
        for what in PASSES:
            measure = functools.partial(measure_depthwise, case, batch, what)
            yield Row(f"depthwise {case_name(case, batch)}: {what}", measure, CODE, 15)
    attentions = [Attention(length) for length in LENGTHS]
    attentions.append(Attention(LENGTHS[1], biased=True))
    if tiny:
        attentions = [Attention(16, 2, 8), Attention(16, 2, 8, biased=True)]
    for attention in attentions:
        for what in PASSES:
            work = functools.partial(measure_attention, attention, what)
            bias = ", biased" if attention.biased else ""
            name = f"attend_blocked {attention.length:,} steps{bias}: {what}"
            yield Row(name, work, CODE, 15)
    shape = (2, 8, 8, 3) if tiny else (128, 224, 224, 3)
    yield Row(
        f"RandAugment {' x '.join(map(str, shape))}",
        functools.partial(measure_randaugment, shape),
        CODE,
        20,
    )


def case_name(case: on_cpus.Case, batch: int) -> str:
    """A convolution's shape in words."""
    each = ", filters per example" if case.each else ""
    shape = f"{batch} x {case.side} x {case.side} x {case.channels}"
    return f"{shape}, K {case.size}, stride {case.stride}{each}"


def measure_depthwise(
    case: on_cpus.Case, batch: int, what: str, seconds: float
) -> dict[str, Any]:
    """`depthwise_conv` as it is, each form of its own, XLA's grouped convolution."""
    x, filters = depthwise_arrays(case, batch)
    options = case.stride, case.size // 2
    train = what != PASSES[0]

    def passes(convolve):
        inner = on_cpus.forward_and_backward if train else on_cpus.forward
        return card.of(functools.partial(inner, convolve), x, filters)

    ours = passes(functools.partial(depthwise_conv, stride=case.stride))
    grouped = passes(functools.partial(on_cpus.grouped_conv, stride=case.stride))
    others = {"XLA's grouped": grouped}
    if not train:
        others["shifted"] = card.of(
            lambda x, filters: depthwise._shifted_products(x, filters, *options),
            x,
            filters,
        )
        return card.compared(ours, others, seconds)
    products = backward_by(depthwise._gradients_of_products, case)
    others["gradients of products"] = card.of(products, x, filters)
    return card.compared(ours, others, seconds)


def depthwise_arrays(case: on_cpus.Case, batch: int) -> tuple[jax.Array, jax.Array]:
    """The map and its filters."""
    shared = (case.size, case.size, case.channels)
    shape = (batch, *shared) if case.each else shared
    shapes = (batch, case.side, case.side, case.channels), shape
    x, filters = (
        jax.random.normal(jax.random.key(seed), shape, jnp.bfloat16)
        for seed, shape in enumerate(shapes)
    )
    return x, filters


def backward_by(form: Callable, case: on_cpus.Case) -> Callable:
    """The whole pass, whose gradients come by a form."""

    def run(x, filters):
        out = depthwise_conv(x, filters, stride=case.stride)
        return out, *form(x, filters, out, case.stride, case.size // 2)

    return run


def measure_attention(case: Attention, what: str, seconds: float) -> dict[str, Any]:
    """`attend_blocked` beside `jax.nn.dot_product_attention`."""
    shape = (case.heads, case.length, case.size)
    arrays = [
        jax.random.normal(jax.random.key(seed), shape, jnp.bfloat16)
        for seed in range(3)
    ]

    def blocked(*arrays):
        bias_of = by_distance if case.biased else no_bias
        return attend_blocked(*arrays, bias_of, case.length)

    def whole(implementation, *arrays):
        bias = None
        if case.biased:
            places = jnp.arange(case.length)
            bias = by_distance(places[:, None], places[None], case.length)
            bias = jnp.broadcast_to(bias, (1, case.heads, *bias.shape[-2:]))
        query, key, value = (array.swapaxes(0, 1)[None] for array in arrays)
        out = jax.nn.dot_product_attention(
            query, key, value, bias, implementation=implementation
        )
        return out[0].swapaxes(0, 1)

    def passes(attend):
        if what == PASSES[0]:
            return card.of(attend, *arrays)
        return card.of(functools.partial(with_gradients, attend), *arrays)

    others = {name: passes(functools.partial(whole, name)) for name in ("xla", "cudnn")}
    return card.compared(passes(blocked), others, seconds)


def no_bias(rows: jax.Array, columns: jax.Array, length: jax.Array) -> jax.Array:
    """Nothing that is added."""
    del rows, columns, length
    return jnp.zeros((1, 1), jnp.bfloat16)


def by_distance(rows: jax.Array, columns: jax.Array, length: Any) -> jax.Array:
    """Less, the farther two steps are apart."""
    return (-jnp.abs(rows - columns) / length).astype(jnp.bfloat16)


def with_gradients(attend: Callable, *arrays: jax.Array) -> tuple:
    """Output, and the gradients of half its sum of squares."""
    out, pull = jax.vjp(attend, *arrays)
    return out, *pull(out)


def measure_randaugment(shape: tuple[int, ...], seconds: float) -> dict[str, Any]:
    """The whole batch at once, which accelerators get, and image after image."""
    images = jax.random.uniform(jax.random.key(0), shape)
    key = jax.random.key(1)

    def form(name):
        def choose(*arrays, **forms):
            return forms[name](*arrays)

        def run(images, key):
            with mock.patch.object(jax.lax, "platform_dependent", choose):
                return randaugment.rand_augment(images, key)

        return card.of(run, images, key)

    ours = card.of(
        lambda images, key: randaugment.rand_augment(images, key), images, key
    )
    others = {"all at once": form("default"), "one by one": form("cpu")}
    return card.compared(ours, others, seconds)
