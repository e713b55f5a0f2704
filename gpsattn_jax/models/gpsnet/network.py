"""GPS-Net's network: embedding, blocks, a mean over joints, frames and persons."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gpsattn_jax.graphs import bone_parents, neighbours_of
from gpsattn_jax.models.gpsnet.block import Block, layer_norm
from gpsattn_jax.models.gpsnet.codes import joint_codes, joint_parts, learned_codes
from gpsattn_jax.models.gpsnet.config import Config
from gpsattn_jax.models.gpsnet.graph_block import GraphBlock
from gpsattn_jax.models.gpsnet.skeleton import skeleton_distances
from gpsattn_jax.models.gpsnet.streams import view
from gpsattn_jax.modules.blocks import Blocks
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.joint_embedding import JointEmbedding
from gpsattn_jax.modules.layers import Dense
from gpsattn_jax.modules.mesh_axes import over_all_devices
from gpsattn_jax.modules.temporal_conv import thin, thin_mask

EMBEDDING_SIZE = 64  # hidden width of the inputs' embeddings
UNROLL = 2  # blocks: a loop over a pair of them gains nothing


@functools.lru_cache(maxsize=32)
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
    return Functional(functools.partial(_make, config), config)


def _make(config, rngs):
    return GPSNet(config, rngs=rngs)


def _make_block(config, distances, before, width, stride, _, *, rngs):
    if config.block == "graph":
        return GraphBlock(config, before, width, stride, rngs=rngs)
    return Block(config, before, width, stride, distances, rngs=rngs)


class GPSNet(nnx.Module):
    """Embedding, blocks, and a mean over joints, frames and persons."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        distances = skeleton_distances(config)
        neighbours = neighbours_of(config.num_joints, config.edges)
        self.parents = bone_parents(config.root, neighbours)
        self.embedding = JointEmbedding(
            config.num_joints, config.in_channels, config.widths[0],
            hidden=EMBEDDING_SIZE, positions=config.positions,
            motions=config.motions, distances=config.distances,
            distance_motions=config.distance_motions, rngs=rngs,
        )  # fmt: skip
        coded = config.code_place != "attention"
        self.parts = joint_parts(config) if coded else None
        self.codes = (
            learned_codes(config, config.widths[0], 1.0, rngs) if coded else None
        )
        before = (config.widths[0], *config.widths)
        # A block that thins frames has a number, and so is like no other.
        sizes = [
            (*sizes, number if sizes[2] > 1 else None)
            for number, sizes in enumerate(
                zip(before, config.widths, config.strides, strict=False)
            )
        ]
        make = functools.partial(_make_block, config, distances)
        self.blocks = Blocks(make, sizes, unroll=UNROLL, rngs=rngs)
        rates = np.linspace(0, config.drop_path, len(config.widths))
        self.rates = tuple(rates.tolist()) if config.drop_path else None
        self.strides = config.strides
        self.temporal_conv = config.temporal_conv or config.block == "graph"
        self.norm = layer_norm(config.widths[-1], rngs)
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
        """Recognises clips; see `build`.

        Args:
            joints: [B, M, T, V, C].
            mask: optional boolean [B, M, T, V].
            time: optional [B, T] in -1..1.
            attention: give the weights of all attentions back, too.
            train: updates batch statistics and draws dropout.
            rngs: random streams for that.

        Returns:
            Logits [B, classes], or (logits, maps).
        """
        self._check(joints, mask, time)
        batch, persons = joints.shape[:2]
        time = _time(joints, mask) if time is None else time
        if mask is not None:
            time = jnp.where(mask.any((1, 3)), time, 0)
        time = jnp.repeat(time, persons, axis=0).astype(joints.dtype)
        joints = over_all_devices(joints.reshape(-1, *joints.shape[2:]))
        if mask is not None:  # whatever stands in the place of a missing joint
            mask = over_all_devices(mask.reshape(-1, *mask.shape[2:]))
            joints = jnp.where(mask[..., None], joints, 0)
        stream, visible = view(joints, mask, self.stream, self.parents)
        drop = functools.partial(
            self.channel_dropout, deterministic=not train, rngs=rngs
        )
        x = self.embedding(joints, mask, stream, visible, train=train)
        if self.parts is not None:
            codes = joint_codes(self.parts, self.codes, x.shape[-1], x.dtype)
            x = x + codes[None, None]
        x = drop(x)
        if attention or not train:
            how: dict[str, Any] = {"attention": attention, "train": train, "rngs": rngs}
            x, mask, maps = self._one_by_one(x, time, mask, **how)
        else:
            x, mask = self._stacked(x, time, mask, rngs)
        pooled = _pool(self.norm(x), mask, batch, self.pooling)
        pooled = self.dropout(pooled, deterministic=not train, rngs=rngs)
        logits = self.head(pooled)
        if not attention:
            return logits
        for name, found in maps.items():
            maps[name] = [w.reshape(batch, persons, *w.shape[1:]) for w in found]
        return logits, maps

    def _one_by_one(self, x, time, mask, **how):
        """Every block by itself: (x, mask, maps by name)."""
        maps: dict[str, list[jax.Array]] = {"spatial": [], "channel": []}
        blocks: Any = list(self.blocks)
        for number, block in enumerate(blocks):
            rate = None if self.rates is None else self.rates[number]
            x, own = block.with_maps(x, time, mask, rate, **how)
            for name, weights in own.items():
                maps[name].append(weights)
            time, mask = self._thinned(time, mask, self.strides[number])
        if how["train"]:
            self.blocks.keep_statistics(blocks)
        return x, mask, maps

    def _stacked(self, x, time, mask, rngs):
        """Alike blocks together, in training: (x, mask)."""
        rates = None if self.rates is None else jnp.asarray(self.rates, jnp.float32)
        for stack in self.blocks.stacks():
            first, last = stack.numbers[0], stack.numbers[-1]
            own = None if rates is None else rates[first : last + 1]
            x = stack(x, time, mask, each=own, train=True, rngs=rngs)
            time, mask = self._thinned(time, mask, self.strides[last])
        return x, mask

    def _thinned(self, time, mask, stride):
        """What is left of frames' times and of the mask after a block."""
        # What a convolution has not carried to a kept frame is not there.
        thinned = thin_mask if self.temporal_conv else thin
        mask = None if mask is None else thinned(mask, stride)
        return thin(time, stride), mask

    def _check(self, joints, mask, time):
        axes = f"[B, M, T, V={len(self.parents)}, C={self.in_channels}]"
        sizes = (len(self.parents), self.in_channels)
        if joints.ndim != 5 or joints.shape[3:] != sizes or 0 in joints.shape:
            raise ValueError(
                f"joints must be {axes}, each at least 1; got {joints.shape}."
            )
        for name, array, shape in (
            ("mask", mask, joints.shape[:4]),
            ("time", time, (joints.shape[0], joints.shape[2])),
        ):
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} must be {list(shape)}; got {array.shape}.")


def _time(joints, mask):
    """Places of frames in their clips, -1..1, up to the last one with a joint."""
    steps = jnp.arange(joints.shape[2], dtype=joints.dtype)
    last = jnp.full((joints.shape[0],), joints.shape[2] - 1, joints.dtype)
    if mask is not None:
        valid = mask.any((1, 3))
        last = jnp.max(jnp.where(valid, steps[None], 0), axis=1)
    return 2 * steps[None] / (last[:, None] + 1) - 1


def _pool(x, mask, batch, pooling):
    """Over a person's visible joints and frames, then over persons with any."""
    if mask is None:
        mask = jnp.ones(x.shape[:3], bool)
    count = mask.sum((1, 2))[:, None]
    sums = jnp.where(mask[..., None], x, 0).sum(2)  # [B M, T, C]
    means = sums.sum(1) / jnp.maximum(count, 1)
    if pooling == "mean_max":
        frames = sums / jnp.maximum(mask.sum(2), 1)[..., None]
        least = jnp.finfo(x.dtype).min
        most = jnp.where(mask.any(2)[..., None], frames, least).max(1)
        means = jnp.concatenate([means, jnp.where(count > 0, most, 0)], axis=-1)
    means = means.reshape(batch, -1, means.shape[-1])
    persons = (count > 0).reshape(batch, -1)
    weights = persons / jnp.maximum(persons.sum(1, keepdims=True), 1)
    return (means * weights[..., None]).sum(1).astype(x.dtype)
