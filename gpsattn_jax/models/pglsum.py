"""PGL-SUM: frame features in, an importance for each time step out.

"Combining Global and Local Attention with Positional Encoding for Video Summarization"
(Apostolidis, Balaouras, Mezaris, Patras; IEEE ISM 2021,
doi 10.1109/ISM52913.2021.00045). Written from a specification of it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.configs import Checked, Count, Rule, Share, above, at_least, one_of
from gpsattn_jax.kernels import POSITION_BIASES
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.mesh_axes import after
from gpsattn_jax.modules.positional_attention import PositionalAttention

FUSIONS: dict[str, Callable[[chex.Array, chex.Array], chex.Array] | None] = {
    "add": jnp.add,
    "mult": jnp.multiply,
    "avg": lambda whole, part: (whole + part) / 2,
    "max": jnp.maximum,
    "none": None,
}
STARTS = ("xavier", "normal", "kaiming", "orthogonal")
NO_SINGLE_SEGMENT = Rule(lambda count: count == 0 or count >= 2, "be 0, or 2 and more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """Widths, heads and options; the defaults are the published model's.

    Attributes:
        input_size: width of the features.
        hidden_size: width of all global heads together; input_size if 0.
        num_heads: of the global attention.
        local_heads: of each segment's attention.
        num_segments: M, 2 or more; 0 for global attention alone.
        fusion: of global and local attention: add, mult, avg, max, or none, which
            leaves the local one unused.
        position: absolute, relative or none.
        frequency: base of the position's wavelengths.
        dropout: share of attention weights and features that training drops.
        start: initial weights: xavier, normal, kaiming or orthogonal.
    """

    input_size: Count = 1024
    hidden_size: Annotated[int, at_least(0)] = 0
    num_heads: Count = 8
    local_heads: Count = 4
    num_segments: Annotated[int, NO_SINGLE_SEGMENT] = 4
    fusion: Annotated[str, one_of(FUSIONS)] = "add"
    position: Annotated[str, one_of(POSITION_BIASES)] = "absolute"
    frequency: Annotated[float, above(0)] = 10_000.0
    dropout: Share = 0.5
    start: Annotated[str, one_of(STARTS)] = "xavier"

    def __post_init__(self) -> None:
        """None means none, as in the original."""
        for name, nothing in (("num_segments", 0), ("fusion", "none"),
                              ("position", "none"), ("hidden_size", 0)):  # fmt: skip
            if getattr(self, name) is None:
                object.__setattr__(self, name, nothing)
        if self.hidden_size == self.input_size:  # one way of saying it: configs compare
            object.__setattr__(self, "hidden_size", 0)
        super().__post_init__()

    def check_together(self) -> None:
        """Heads share the width evenly."""
        if self.width % self.num_heads:
            heads = f"num_heads={self.num_heads}"
            self.refuse("hidden_size", f"be a multiple of {heads}", f"{self.width}")
        segment = self.width // (self.num_segments or 1)
        if self.num_segments and segment % self.local_heads:
            name, heads = (
                "hidden_size / num_segments",
                f"local_heads={self.local_heads}",
            )
            self.refuse(name, f"be a multiple of {heads}", f"{segment}")

    @property
    def width(self) -> int:
        """Of all global heads together."""
        return self.hidden_size or self.input_size


VARIANTS = {
    "default": Config(),
    "summe": Config(),
    "tvsum": Config(),
}


def build(config: Config) -> Functional:
    """The network, as pure functions.

    `apply(params, state, features [B, T, C], length=None, attention=False)` gives
    scores [B, T] in (0, 1), zero from a video's length [B] on, and with `attention`
    also the weights [B, T, T] of the last global head. A padded video has the scores of
    the unpadded one. Training draws dropout: give `rng`.
    """
    return _build(config)


@functools.lru_cache(maxsize=32)
def _build(config):
    return Functional(functools.partial(_make, config), config)


def _make(config, rngs):
    return PGLSum(config, rngs=rngs)


class PGLSum(nnx.Module):
    """Global and local attention, then a regressor of each step's score."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        size = config.input_size
        linear = functools.partial(
            nnx.Linear, size, kernel_init=_start(config.start),
            bias_init=_BIAS, rngs=rngs,
        )  # fmt: skip
        norm = functools.partial(
            nnx.LayerNorm, size, epsilon=1e-6, bias_init=_BIAS,
            use_fast_variance=False, rngs=rngs,
        )  # fmt: skip
        self.attention = MultiAttention(config, rngs=rngs)
        self.dropout = nnx.Dropout(config.dropout)
        self.norm = norm()
        self.hidden = linear(size)
        self.hidden_norm = norm()
        self.score = linear(1)

    def __call__(
        self,
        features: chex.Array,
        length: chex.Array | None = None,
        *,
        attention: bool = False,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array | tuple[chex.Array, chex.Array]:
        """Scores time steps; see `build`.

        Args:
            features: [B, T, C].
            length: optional [B], steps of each video; T if None.
            attention: give the last global head's weights back, too.
            train: draws dropout.
            rngs: random streams for that.

        Returns:
            Scores [B, T], or (scores, weights [B, T, T]).
        """
        length = _check_length(features, length, self.norm.num_features)
        steps = jnp.arange(features.shape[1])[None]
        # Whatever stands in the padding, NaN too, must not reach a gradient.
        features = jnp.where((steps < length[:, None])[..., None], features, 0)
        drop = functools.partial(self.dropout, deterministic=not train, rngs=rngs)
        x = features + self.attention(features, length, train=train, rngs=rngs)
        # Dropout stands before the norms, as in the original.
        x = self.norm(drop(x))
        x = self.hidden_norm(drop(jax.nn.relu(self.hidden(x))))
        scores = jax.nn.sigmoid(self.score(x)[..., 0])
        scores = jnp.where(steps < length[:, None], scores, 0)
        if not attention:
            return scores
        return scores, self.attention.whole.weights(features, length)


class MultiAttention(nnx.Module):
    """Attention over the whole video and within its segments, fused.

    Both are scaled to unit length at each step; there is nothing to learn in fusing.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        make = functools.partial(
            PositionalAttention, config.input_size, position=config.position,
            frequency=config.frequency, dropout=config.dropout,
            start=_start(config.start), rngs=rngs,
        )  # fmt: skip
        segments = config.num_segments
        part = functools.partial(make, num_segments=segments)
        self.whole = make(config.width, config.num_heads)
        self.parts = (
            part(config.width // segments, config.local_heads) if segments else None
        )
        self.fusion = config.fusion

    def __call__(
        self,
        x: chex.Array,
        length: chex.Array,
        *,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> chex.Array:
        """[B, T, C] -> [B, T, C].

        Args:
            x: [B, T, C].
            length: [B], steps of each video.
            train: draws dropout.
            rngs: random streams for that.
        """
        whole = self.whole(x, length, train=train, rngs=rngs)
        fuse = FUSIONS[self.fusion]
        if self.parts is None or fuse is None:
            return whole
        x = after(whole, x)
        parts = self.parts(x, length, train=train, rngs=rngs)
        return fuse(_unit(whole), _unit(parts))


def _unit(x):
    """Scales by 1 / max(|x|, 1e-12) along channels, with a finite gradient at zero."""
    square = jnp.square(x.astype(jnp.promote_types(x.dtype, jnp.float32)))
    total = square.sum(-1, keepdims=True)
    return (x * jax.lax.rsqrt(jnp.maximum(total, 1e-24))).astype(x.dtype)


def _check_length(features, length, channels):
    shape = features.shape
    if len(shape) != 3 or shape[2] != channels or 0 in shape:
        raise ValueError(
            f"features must be [B, T, C={channels}], each at least 1; got {shape}."
        )
    batch, steps, _ = features.shape
    if length is None:
        return jnp.full((batch,), steps)
    length = jnp.asarray(length)
    if length.shape != (batch,):
        raise ValueError(f"length must be [B={batch}]; got {length.shape}.")
    return jnp.minimum(length, steps)


_BIAS = nnx.initializers.constant(0.1)


def _start(name):
    """(key, (inputs, outputs)) -> weights, with the original's gain of sqrt(2)."""
    return {
        "xavier": nnx.initializers.variance_scaling(2.0, "fan_avg", "uniform"),
        "normal": nnx.initializers.normal(2**0.5),
        "kaiming": nnx.initializers.variance_scaling(2.0, "fan_in", "uniform"),
        "orthogonal": nnx.initializers.orthogonal(2**0.5),
    }[name]
