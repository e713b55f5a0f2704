"""GPS-Net restated in PyTorch, with our weights: what its own operators make of it."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from gpsattn_jax.convert.files import flatten
from gpsattn_jax.models import gpsnet
from gpsattn_jax.models.gpsnet import skeleton_distances, skeleton_parts


class Peer(torch.nn.Module):
    """The joint stream without masks, for the options that the variants have.

    Args:
        config: the network's.
        params: as from `Functional.init`.
        state: likewise.
    """

    def __init__(self, config: gpsnet.Config, params: Any, state: Any):
        super().__init__()
        self.config = config
        arrays = {name: np.array(array) for name, array in flatten(params).items()}
        for name, array in arrays.items():
            value = torch.from_numpy(array.T.copy() if _is_dense(name) else array)
            self.register_parameter(_key(name), torch.nn.Parameter(value))
        for name, array in flatten(state).items():
            self.register_buffer(_key(name), torch.from_numpy(np.array(array)))
        self.parts = torch.from_numpy(skeleton_parts(config).astype(np.int64))
        self.distances = torch.from_numpy(skeleton_distances(config).astype(np.int64))

    def forward(self, joints: torch.Tensor) -> torch.Tensor:
        """[B, 1, T, V, C] -> logits [B, classes]."""
        joints = joints[:, 0]
        x = self.embed(joints)
        steps = joints.shape[1]
        counted = torch.arange(steps, dtype=joints.dtype, device=joints.device)
        time = 2 * counted / steps - 1
        for number, stride in enumerate(self.config.strides):
            x = self.block(f"blocks/{number}", x, time, stride)
            time = time[::stride]
        x = self.norm("norm", x)
        pooled = x.mean((1, 2))
        if self.config.pooling == "mean_max":
            pooled = torch.cat([pooled, x.mean(2).amax(1)], -1)
        return self.dense("head", pooled)

    def embed(self, joints):
        """Positions and motions, each normalised over all joints' coordinates."""
        total = 0.0
        for number, lag in enumerate((0, *self.config.motions)):
            x = _motion(joints, lag)
            flat, at = x.flatten(2), f"embedding/norms/{number}"
            flat = functional.batch_norm(
                flat.transpose(1, 2),
                self.of(f"{at}/mean"),
                self.of(f"{at}/var"),
                self.of(f"{at}/scale"),
                self.of(f"{at}/bias"),
                training=self.training,
            ).transpose(1, 2)
            total = total + self.two_layers(
                f"embedding/layers/{number}", flat.reshape(x.shape)
            )
        gaps = _distances(joints)
        lags = (0,) * self.config.distances + self.config.distance_motions
        for number, lag in enumerate(lags):
            found = self.two_layers(f"embedding/distances/{number}", _motion(gaps, lag))
            total = total + found.unsqueeze(2)
        return total

    def block(self, at, x, time, stride):
        """As `gpsnet.Block`."""
        if self.has(f"{at}/widen/kernel"):
            x = self.dense(f"{at}/widen", x)
        code = self.of(f"{at}/codes")[self.parts]
        normalized = self.norm(f"{at}/spatial_norm", x)
        x = x + self.spatial(f"{at}/spatial", normalized, code)
        normalized = self.norm(f"{at}/channel_norm", x)
        waves = _sinusoids(time, x.shape[-1])[None, :, None]
        x = x + self.channel(f"{at}/channel", normalized, code + waves)
        mixed = self.temporal(
            f"{at}/temporal", self.norm(f"{at}/temporal_norm", x), stride
        )
        x = x[:, ::stride] + mixed
        hidden = self.dense(f"{at}/hidden", self.norm(f"{at}/hidden_norm", x))
        return x + self.dense(f"{at}/out", functional.gelu(hidden))

    def spatial(self, at, x, code):
        """Joints to joints, by PyTorch's scaled_dot_product_attention."""
        query, key, value = self.heads(at, x, code)
        bias = self.of(f"{at}/bias")[:, self.distances]
        out = functional.scaled_dot_product_attention(
            *(part.transpose(2, 3) for part in (query, key, value)), attn_mask=bias
        )
        return self.dense(f"{at}/out", out.transpose(2, 3).reshape(x.shape))

    def channel(self, at, x, code):
        """Channels to channels, as XCiT's code has it."""
        parts = (part.flatten(1, 2).transpose(1, 2) for part in self.heads(at, x, code))
        query, key, value = (part.transpose(2, 3) for part in parts)  # [B, N, D, T V]
        query, key = (
            functional.normalize(part, dim=-1, eps=1e-6) for part in (query, key)
        )
        warmth = self.of(f"{at}/temperature")[None, :, None, None]
        weights = (query @ key.transpose(2, 3) * warmth).softmax(-1)
        out = (weights @ value).permute(0, 3, 1, 2)
        return self.dense(f"{at}/out", out.reshape(x.shape))

    def temporal(self, at, x, stride):
        """By a grouped convolution."""
        filters = self.of(f"{at}/kernel")
        size, channels = filters.shape
        out = functional.conv2d(
            x.permute(0, 3, 1, 2),
            filters.T.reshape(channels, 1, size, 1),
            self.of(f"{at}/bias"),
            stride=(stride, 1),
            padding=(size // 2, 0),
            groups=channels,
        )
        return self.dense(f"{at}/point", out.permute(0, 2, 3, 1))

    def heads(self, at, x, code):
        """Query and key of x + code, value of x: [B, T, V, N, D]."""
        parts = (("query", x + code), ("key", x + code), ("value", x))
        shape = (*x.shape[:3], self.config.num_heads, -1)
        return [self.dense(f"{at}/{name}", part).reshape(shape) for name, part in parts]

    def two_layers(self, at, x):
        """Dense-ReLU-Dense."""
        return self.dense(f"{at}/out", self.dense(f"{at}/hidden", x).relu())

    def dense(self, at, x):
        """A linear layer; not every one has a bias."""
        bias = self.of(f"{at}/bias") if self.has(f"{at}/bias") else None
        return functional.linear(x, self.of(f"{at}/kernel"), bias)

    def norm(self, at, x):
        """Layer norm over channels."""
        return functional.layer_norm(
            x, x.shape[-1:], self.of(f"{at}/scale"), self.of(f"{at}/bias"), 1e-6
        )

    def of(self, name):
        """An array by our name."""
        return getattr(self, _key(name))

    def has(self, name):
        """Whether there is such an array."""
        return hasattr(self, _key(name))


def _key(name):
    return name.replace("/", "__")


def _is_dense(name):
    return name.endswith("/kernel") and not name.endswith("temporal/kernel")


def _motion(x, lag):
    """Differences over `lag` frames, 0 in the first of them; x itself for none."""
    if not lag:
        return x
    found = torch.zeros_like(x)
    found[:, lag:] = x[:, lag:] - x[:, :-lag]
    return found


def _distances(joints):
    count = joints.shape[2]
    one, other = np.triu_indices(count, 1)
    gaps = (joints[:, :, one] - joints[:, :, other]).norm(dim=-1)
    var, mean = torch.var_mean(gaps, dim=(1, 2), correction=0, keepdim=True)
    return (gaps - mean) * torch.rsqrt(var + 1e-8)


def _sinusoids(place, channels):
    count = -(-channels // 2)
    frequencies = torch.from_numpy(np.geomspace(0.25, 8.0, count) * 2 * np.pi)
    angles = place[:, None] * frequencies.to(place)
    return torch.cat([angles.sin(), angles.cos()], -1)[:, :channels]
