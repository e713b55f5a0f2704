"""GPS-Net: joint sequences in, a class for each clip out.

"Global Positional Self-Attention for Skeleton-Based Action Recognition". GPS-Net here
is reconstructed from its abstract; the paper's layer sizes, recipe and scores were not
available to us. The abstract has attention between joints (structure) and attention
between channels (order), and structural positions by geodesic distance whose joints
share one code. All else is our choice; what it was taken after stands where it is.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.graphs import (
    bone_parents,
    geodesic_distances,
    neighbours_of,
    shells,
    voronoi_parts,
)
from gpsattn_jax.kernels import gelu
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.joint_embedding import JointEmbedding, motion
from gpsattn_jax.modules.layers import Dense, drop_path
from gpsattn_jax.modules.skeleton_attention import ChannelAttention, SpatialAttention
from gpsattn_jax.modules.temporal_conv import TemporalConv, thin, thin_mask

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
PARTITIONS = ("shell", "voronoi", "joint", "none")
ORDERS = ("sequential", "parallel")
POOLINGS = ("mean", "mean_max")

# The 25 joints of NTU RGB+D, for which the sizes of the variants are told.
NTU_EDGES = (
    (0, 1), (1, 20), (20, 2), (2, 3), (20, 4), (4, 5), (5, 6), (6, 7), (20, 8), (8, 9),
    (9, 10), (10, 11), (0, 12), (12, 13), (13, 14), (14, 15), (0, 16), (16, 17),
    (17, 18), (18, 19), (7, 21), (7, 22), (11, 23), (11, 24),
)  # fmt: skip


def of_the_data(default: Any) -> Any:
    """A field that has no flag of its own: the data decide it."""
    return dataclasses.field(default=default, metadata={"flag": False})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Skeleton, inputs, widths and options.

    Attributes:
        num_classes: width of the head.
        num_joints: V.
        in_channels: coordinates of a joint, 2 or 3.
        edges: bones, pairs of joints counted from 0.
        root: the joint that shells and bones count from.
        anchors: joints, one for each part of the partition `voronoi`.
        stream: what is looked at: joint, bone (to the neighbour nearer to the root),
            joint_motion or bone_motion.
        positions: the stream itself is an input.
        motions: so many frames apart the stream's differences are inputs, too.
        distances: all distances between the joints of a frame are an input, too, one
            for all of them (alone they make all joints alike); ours, after DD-Net
            (arXiv 1907.09658).
        distance_motions: so many frames apart their differences are inputs, too.
        widths: channels of each block.
        strides: of time, in each block.
        num_heads: of both attentions.
        partition: joints that share a structural code: shell (equally far from the
            root), voronoi (one anchor is nearest), joint (none do) or none (no code).
        parts: the part of each joint, in place of the partition; () for none given.
        fixed_codes: structural codes are sinusoids of the part; else they are learned.
        spatial_attention: between joints.
        geodesic_bias: it sees distances along the skeleton.
        share_time: one map of it serves all frames.
        channel_attention: between channels.
        time_code: it sees when a frame is.
        order: of both: sequential or parallel.
        temporal_conv: each block also convolves along time.
        embedding_size: hidden width of the inputs' embeddings.
        ffn_ratio: hidden width of the feed-forward net, in widths.
        pooling: over joints and frames before the head: mean, or mean_max (beside it
            the greatest of the frames' means over joints).
        dropout: before the head.
        channel_dropout: share of embedded channels that training drops in a clip.
        drop_path: share of clips that skip a residual branch; it grows with depth up to
            this.
    """

    num_classes: int = of_the_data(60)
    num_joints: int = of_the_data(25)
    in_channels: int = of_the_data(3)
    edges: tuple[tuple[int, int], ...] = of_the_data(NTU_EDGES)
    root: int = of_the_data(1)
    anchors: tuple[int, ...] = of_the_data((1, 3, 7, 11, 15, 19))
    stream: str = "joint"
    positions: bool = True
    motions: tuple[int, ...] = (1,)
    distances: bool = False
    distance_motions: tuple[int, ...] = ()
    widths: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 256, 256)
    strides: tuple[int, ...] = (1, 1, 2, 1, 2, 1, 1, 1)
    num_heads: int = 8
    partition: str = "shell"
    parts: tuple[int, ...] = ()
    fixed_codes: bool = False
    spatial_attention: bool = True
    geodesic_bias: bool = True
    share_time: bool = False
    channel_attention: bool = True
    time_code: bool = True
    order: str = "sequential"
    temporal_conv: bool = True
    embedding_size: int = 64
    ffn_ratio: int = 2
    pooling: str = "mean"
    dropout: float = 0.0
    channel_dropout: float = 0.0
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        """Rejects what cannot be built; lists and arrays become tuples."""
        for name in (
            "edges", "anchors", "motions", "distance_motions", "widths", "strides",
            "parts",
        ):  # fmt: skip
            object.__setattr__(self, name, _plain(getattr(self, name)))
        for name, choices in (
            ("stream", STREAMS), ("partition", PARTITIONS), ("order", ORDERS),
            ("pooling", POOLINGS),
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}; "
                    f"got {getattr(self, name)!r}."
                )
        for name in (
            "num_classes",
            "num_joints",
            "in_channels",
            "num_heads",
            "embedding_size",
            "ffn_ratio",
        ):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1; got {getattr(self, name)}."
                )
        for name in ("dropout", "channel_dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be in [0, 1); got {getattr(self, name)}."
                )
        if not self.widths or len(self.widths) != len(self.strides):
            raise ValueError(
                f"widths and strides must have one entry for each block; got "
                f"{self.widths} and {self.strides}."
            )
        for width in self.widths:
            if width < 1 or width % self.num_heads:
                raise ValueError(
                    f"widths must be multiples of num_heads={self.num_heads}; "
                    f"got {self.widths}."
                )
        for name in ("strides", "motions", "distance_motions"):
            if min(getattr(self, name), default=1) < 1:
                raise ValueError(
                    f"{name} must be at least 1; got {getattr(self, name)}."
                )
        inputs = ("positions", "motions", "distances", "distance_motions")
        if not any(getattr(self, name) for name in inputs):
            raise ValueError(f"One of {', '.join(inputs)} must be an input.")
        if not 0 <= self.root < self.num_joints:
            raise ValueError(
                f"root must be a joint below num_joints={self.num_joints}; "
                f"got {self.root}."
            )


def _plain(value: Any) -> Any:
    """Lists and arrays as tuples of plain numbers, at every depth."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


VARIANTS = {
    "tiny": Config(widths=(64, 64, 96, 96), strides=(1, 2, 1, 2), num_heads=4),
    "small": Config(
        widths=(64, 64, 96, 96, 128, 128), strides=(1, 1, 2, 1, 2, 1), num_heads=4
    ),
    "base": Config(),
}


def skeleton_distances(config: Config) -> np.ndarray:
    """Edges between all joints of the config's skeleton, int [V, V]."""
    return geodesic_distances(config.num_joints, config.edges)


def skeleton_parts(config: Config) -> np.ndarray | None:
    """The structural position of each joint, int [V]; None without a partition."""
    if config.parts:
        if len(config.parts) != config.num_joints or min(config.parts) < 0:
            raise ValueError(
                f"parts must be {config.num_joints} numbers from 0, one for each "
                f"joint; got {config.parts}."
            )
        return np.array(config.parts, np.int32)
    if config.partition == "none":
        return None
    if config.partition == "joint":
        return np.arange(config.num_joints, dtype=np.int32)
    distances = skeleton_distances(config)
    if config.partition == "voronoi":
        return voronoi_parts(distances, config.anchors)
    return shells(distances, config.root)


def build(config: Config) -> Functional:
    """The network, as pure functions.

    `apply(params, state, joints [B, M, T, V, C], mask=None, time=None,
    attention=False)` gives logits [B, classes]. `mask` [B, M, T, V] is False at padded
    frames, absent persons and missing joints, which change no logit; `time` [B, T] in
    -1..1 is where in its clip a frame stands, by default evenly from the first to the
    last valid frame. With `attention` also {"spatial": [blocks] of [B, M, T', N, V, V],
    "channel": [blocks] of [B, M, N, D, D]} come back. T may vary between calls.
    Training draws dropout: give `rng`.
    """
    return _build(config)


@functools.lru_cache(maxsize=32)
def _build(config):
    return Functional(functools.partial(_make, config))


def _make(config, rngs):
    return GPSNet(config, rngs=rngs)


class GPSNet(nnx.Module):
    """Embedding, blocks, and a mean over joints, frames and persons."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        distances = skeleton_distances(config)
        neighbours = neighbours_of(config.num_joints, config.edges)
        self.parents = bone_parents(config.root, neighbours)
        self.embedding = JointEmbedding(
            config.num_joints, config.in_channels, config.widths[0],
            hidden=config.embedding_size, positions=config.positions,
            motions=config.motions, distances=config.distances,
            distance_motions=config.distance_motions, rngs=rngs,
        )  # fmt: skip
        rates = np.linspace(0, config.drop_path, len(config.widths)).tolist()
        before = (config.widths[0], *config.widths)
        self.blocks = nnx.List(
            Block(config, old, width, stride, rate, distances, rngs=rngs)
            for old, width, stride, rate in zip(
                before, config.widths, config.strides, rates, strict=False
            )
        )
        self.norm = _norm(config.widths[-1], rngs)
        self.dropout = nnx.Dropout(config.dropout)
        self.channel_dropout = nnx.Dropout(
            config.channel_dropout, broadcast_dims=(1, 2)
        )
        self.pooling = config.pooling
        pooled = config.widths[-1] * (2 if config.pooling == "mean_max" else 1)
        self.head = Dense(pooled, config.num_classes, rngs=rngs)
        self.stream = config.stream
        self.in_channels = config.in_channels

    def __call__(
        self,
        joints: jax.Array,
        mask: jax.Array | None = None,
        time: jax.Array | None = None,
        *,
        attention: bool = False,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> Any:
        """See `build`."""
        self._check(joints, mask, time)
        batch, persons = joints.shape[:2]
        time = _time(joints, mask) if time is None else time
        if mask is not None:
            time = jnp.where(mask.any((1, 3)), time, 0)
        time = jnp.repeat(time, persons, axis=0).astype(joints.dtype)
        joints = joints.reshape(-1, *joints.shape[2:])
        seen = None if mask is None else mask.reshape(-1, *mask.shape[2:])
        if seen is not None:  # whatever stands where nothing was seen
            joints = jnp.where(seen[..., None], joints, 0)
        looked_at, visible = view(joints, seen, self.stream, self.parents)
        drop = functools.partial(
            self.channel_dropout, deterministic=not train, rngs=rngs
        )
        x = drop(self.embedding(joints, seen, looked_at, visible, train=train))
        maps: dict[str, list[jax.Array]] = {"spatial": [], "channel": []}
        for block in self.blocks:
            x, found = block(x, time, seen, attention=attention, train=train, rngs=rngs)
            for name, weights in found.items():
                maps[name].append(weights.reshape(batch, persons, *weights.shape[1:]))
            time = thin(time, block.stride)
            # What a convolution has not carried to a kept frame is not there.
            thinned = thin if block.temporal is None else thin_mask
            seen = None if seen is None else thinned(seen, block.stride)
        pooled = _pooled(self.norm(x), seen, batch, self.pooling)
        pooled = self.dropout(pooled, deterministic=not train, rngs=rngs)
        logits = self.head(pooled)
        return (logits, maps) if attention else logits

    def _check(self, joints, mask, time):
        wanted = f"[B, M, T, V={len(self.parents)}, C={self.in_channels}]"
        sizes = (len(self.parents), self.in_channels)
        if joints.ndim != 5 or joints.shape[3:] != sizes or not joints.shape[2]:
            raise ValueError(f"joints must be {wanted}; got {joints.shape}.")
        for name, array, shape in (
            ("mask", mask, joints.shape[:4]),
            ("time", time, (joints.shape[0], joints.shape[2])),
        ):
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must be {list(shape)}; got {array.shape}.")


class Block(nnx.Module):
    """Both attentions, a convolution along time, a feed-forward net; norms before each.

    A block that is wider than the one before begins with a projection.
    """

    def __init__(
        self,
        config: Config,
        before: int,
        width: int,
        stride: int,
        rate: float,
        distances: np.ndarray,
        *,
        rngs: nnx.Rngs,
    ):
        self.widen = Dense(before, width, rngs=rngs) if before != width else None
        attends = config.spatial_attention or config.channel_attention
        parts = skeleton_parts(config) if attends else None
        self.parts = None if parts is None else tuple(parts.tolist())
        learned = parts is not None and not config.fixed_codes
        self.codes = _codes(parts, width, rngs) if learned else None
        self.spatial = (
            SpatialAttention(
                width, config.num_heads, share_time=config.share_time,
                distances=distances if config.geodesic_bias else None, rngs=rngs,
            )
            if config.spatial_attention
            else None
        )  # fmt: skip
        self.spatial_norm = _norm(width, rngs) if config.spatial_attention else None
        self.channel = (
            ChannelAttention(width, config.num_heads, rngs=rngs)
            if config.channel_attention
            else None
        )
        self.channel_norm = _norm(width, rngs) if config.channel_attention else None
        self.temporal = (
            TemporalConv(width, stride=stride, rngs=rngs)
            if config.temporal_conv
            else None
        )
        self.temporal_norm = _norm(width, rngs) if config.temporal_conv else None
        self.hidden_norm = _norm(width, rngs)
        self.hidden = Dense(width, config.ffn_ratio * width, rngs=rngs)
        self.out = Dense(config.ffn_ratio * width, width, rngs=rngs)
        self.stride, self.rate = stride, rate
        self.time_code, self.parallel = config.time_code, config.order == "parallel"

    def __call__(
        self,
        x: jax.Array,
        time: jax.Array,
        mask: jax.Array | None = None,
        *,
        attention: bool = False,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """[B, T, V, C], [B, T], [B, T, V] -> [B, ceil(T / stride), V, C'].

        With `attention` also the weights of both attentions; else there are none.
        """
        rate = self.rate or None
        drop = functools.partial(drop_path, rate=rate, train=train, rngs=rngs)
        x = x if self.widen is None else self.widen(x)
        start, maps = x, {}
        for name, norm, module in self._attentions():
            seen = norm(start if self.parallel else x)
            codes = self._codes_of(name, time, x.dtype)
            if attention:
                maps[name] = module.weights(seen, *codes, mask)
            x = x + drop(module(seen, *codes, mask))
        if self.temporal is None or self.temporal_norm is None:
            x = thin(x, self.stride)
        else:
            mixed = self.temporal(self.temporal_norm(x), mask)
            x = thin(x, self.stride) + drop(mixed)
        return x + drop(self.out(gelu(self.hidden(self.hidden_norm(x))))), maps

    def _attentions(self) -> list[tuple[str, Any, Any]]:
        """(name, norm, module) of each, in their order."""
        both = (
            ("spatial", self.spatial_norm, self.spatial),
            ("channel", self.channel_norm, self.channel),
        )
        return [(name, norm, m) for name, norm, m in both if m is not None]

    def _codes_of(self, name, time, dtype):
        """What an attention sees of time and structure, beside its input."""
        code = self._code(dtype)
        if name == "spatial":
            return (code,)
        width = self.hidden.in_features
        return (sinusoids(time, width) if self.time_code else None, code)

    def _code(self, dtype):
        """The joints' structural codes [V, C]."""
        if self.parts is None:
            return None
        if self.codes is not None:
            return self.codes[...][np.array(self.parts)].astype(dtype)
        places = np.array(self.parts) / max(1, *self.parts)
        return sinusoids(jnp.asarray(2 * places - 1, dtype), self.hidden.in_features)


def sinusoids(place: jax.Array, channels: int) -> jax.Array:
    """Codes of places in -1..1: [...] -> [..., channels], sines then cosines.

    The wavelengths fall geometrically from 4 (every place differs from every other) to
    1/8 (neighbours among 32 differ).
    """
    count = -(-channels // 2)
    frequencies = jnp.asarray(np.geomspace(0.25, 8.0, count) * 2 * np.pi, place.dtype)
    angles = place[..., None] * frequencies.reshape((1,) * place.ndim + (-1,))
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return waves[..., :channels]


def view(
    joints: jax.Array,
    mask: jax.Array | None,
    stream: str,
    parents: tuple[int, ...],
) -> tuple[jax.Array, jax.Array | None]:
    """Joints [B, T, V, C] as a stream sees them, and where it sees them [B, T, V].

    A bone is seen if both of its joints are; the root's is zero. A motion is from the
    frame before, and zero in the first.
    """
    if stream.startswith("bone"):
        above = np.array(parents)
        joints = joints - joints[:, :, above]
        mask = None if mask is None else mask & mask[:, :, above]
    if stream.endswith("motion"):
        joints, mask = motion(joints, mask, 1)
    if mask is not None:
        joints = jnp.where(mask[..., None], joints, 0)
    return joints, mask


def _codes(parts, width, rngs):
    """A code for each part, normal(0.02)."""
    start = nnx.initializers.normal(0.02)
    return nnx.Param(start(rngs.params(), (int(parts.max()) + 1, width)))


def _norm(width, rngs):
    return nnx.LayerNorm(width, epsilon=1e-6, use_fast_variance=False, rngs=rngs)


def _time(joints, mask):
    """Places of frames in their clips, -1..1, up to the last one with a joint."""
    steps = jnp.arange(joints.shape[2], dtype=joints.dtype)
    last = jnp.full((joints.shape[0],), joints.shape[2] - 1, joints.dtype)
    if mask is not None:
        valid = mask.any((1, 3))
        last = jnp.max(jnp.where(valid, steps[None], 0), axis=1)
    return 2 * steps[None] / (last[:, None] + 1) - 1


def _pooled(x, mask, batch, pooling):
    """Over a person's visible joints and frames, then over persons seen at all."""
    if mask is None:
        mask = jnp.ones(x.shape[:3], bool)
    count = mask.sum((1, 2))[:, None]
    sums = jnp.where(mask[..., None], x, 0).sum(2)  # [B M, T, C]
    found = sums.sum(1) / jnp.maximum(count, 1)
    if pooling == "mean_max":
        frames = sums / jnp.maximum(mask.sum(2), 1)[..., None]
        least = jnp.finfo(x.dtype).min
        most = jnp.where(mask.any(2)[..., None], frames, least).max(1)
        found = jnp.concatenate([found, jnp.where(count > 0, most, 0)], axis=-1)
    found = found.reshape(batch, -1, found.shape[-1])
    persons = (count > 0).reshape(batch, -1)
    weights = persons / jnp.maximum(persons.sum(1, keepdims=True), 1)
    return (found * weights[..., None]).sum(1).astype(x.dtype)
