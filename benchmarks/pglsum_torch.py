"""PGL-SUM restated in PyTorch from its specification, under the official names.

The peer of the timings: a released state dict, or a golden file's, loads as it is.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from gpsattn_jax.models.pglsum import Config


class Peer(nn.Module):
    """The default model's family: features [T, D] -> scores [T].

    Args:
        config: of the network: absolute positions, segments whose outputs are added.
        shared: make the positions of an attention once for all its heads; the official
            code makes them for each head again.
    """

    def __init__(self, config: Config, *, shared: bool = False):
        super().__init__()
        size = config.input_size
        self.attention = MultiAttention(config, shared)
        self.linear_1 = nn.Linear(size, size)
        self.linear_2 = nn.Linear(size, 1)
        self.norm_y = nn.LayerNorm(size, eps=1e-6)
        self.norm_linear = nn.LayerNorm(size, eps=1e-6)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the steps -> how much each belongs into a summary, 0..1."""
        y = self.norm_y(self.drop(self.attention(x) + x))
        y = self.norm_linear(self.drop(functional.relu(self.linear_1(y))))
        return self.linear_2(y).sigmoid()[:, 0]


class MultiAttention(nn.Module):
    """Attention over the whole video, and over each of its segments."""

    def __init__(self, config, shared):
        super().__init__()
        size, segments = config.input_size, config.num_segments
        self.segments = segments
        self.attention = SelfAttention(size, size, config.num_heads, shared)
        self.local_attention = nn.ModuleList(
            SelfAttention(size, size // segments, 4, shared) for _ in range(segments)
        )

    def forward(self, x):
        whole = functional.normalize(self.attention(x), dim=-1)
        length = math.ceil(len(x) / self.segments)
        parts = zip(self.local_attention, x.split(length), strict=False)
        local = torch.cat([attend(part) for attend, part in parts])
        return whole + functional.normalize(local, dim=-1)


class SelfAttention(nn.Module):
    """Heads whose energies have the positions added: [T, D] -> [T, D]."""

    def __init__(self, size, width, heads, shared):
        super().__init__()
        each = width // heads
        self.Wk, self.Wq, self.Wv = (
            nn.ModuleList(nn.Linear(size, each, bias=False) for _ in range(heads))
            for _ in range(3)
        )
        self.out = nn.Linear(width, size, bias=False)
        self.drop = nn.Dropout(0.5)
        self.shared = shared

    def forward(self, x):
        places = positions(*x.shape, x.device) if self.shared else None
        heads = []
        for key, query, value in zip(self.Wk, self.Wq, self.Wv, strict=True):
            made = positions(*x.shape, x.device) if places is None else places
            weights = (query(x) @ key(x).T + made).softmax(-1)
            heads.append(self.drop(weights) @ value(x))
        return self.out(torch.cat(heads, dim=-1))


def positions(
    steps: int, channels: int, device: torch.device | None = None
) -> torch.Tensor:
    """[T, T]: row's sine and cosine, at frequencies that fall with the column."""
    rows = torch.arange(steps, device=device)[:, None]
    pairs = torch.arange(steps // 2, device=device)
    angles = rows / 10_000 ** (2 * pairs / channels)
    table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return functional.pad(table, (0, steps % 2))
