"""TransXNet restated in PyTorch from its specification, under the official names.

The peer of the timings: a released state dict, or a golden file's, loads as it is.
"""

import torch
from torch import nn
from torch.nn import functional

from gpsattn_jax.models.transxnet import Config


class Peer(nn.Module):
    """The network: [B, 3, H, W] -> logits [B, classes], at its `image_size`.

    Args:
        config: the network's, with layer scales and the "group" norm as published.
    """

    def __init__(self, config: Config):
        super().__init__()
        widths, stages = config.widths, range(len(config.widths))
        self.patch_embed = PatchEmbed(config.in_channels, widths[0], 7, 4)
        # Officially one list: stage, reduction, stage, reduction, …
        self.network = nn.ModuleList()
        self.relative_pos_enc = nn.ParameterList()
        for stage in stages:
            blocks = (Block(config, stage) for _ in range(config.depths[stage]))
            self.network.append(nn.ModuleList(blocks))
            if stage + 1 < len(widths):
                self.network.append(PatchEmbed(widths[stage], widths[stage + 1], 3, 2))
            side = config.image_size
            rows, columns, *reduced = config.grids(side, side)[stage]
            shape = (
                1,
                config.num_heads[stage],
                rows * columns,
                reduced[0] * reduced[1],
            )
            self.relative_pos_enc.append(nn.Parameter(torch.zeros(shape)))
        self.classifier = nn.Sequential(
            nn.GroupNorm(1, widths[-1]),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(widths[-1], config.num_classes, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised images -> logits."""
        x = self.patch_embed(x)
        for place, part in enumerate(self.network):
            if place % 2:
                x = part(x)
                continue
            for block in part:
                x = block(x, self.relative_pos_enc[place // 2])
        return self.classifier(x).flatten(1)


class ConvModule(nn.Module):
    """A convolution without bias, its batch norm, perhaps a GELU."""

    def __init__(self, before, after, size, stride=1, *, groups=1, active=False):
        super().__init__()
        padding = size // 2
        self.conv = nn.Conv2d(
            before, after, size, stride, padding, groups=groups, bias=False
        )
        self.bn = nn.BatchNorm2d(after)
        self.active = active

    def forward(self, x):
        x = self.bn(self.conv(x))
        return functional.gelu(x) if self.active else x


class PatchEmbed(nn.Module):
    """Stem, and what halves the map between two stages."""

    def __init__(self, before, after, size, stride):
        super().__init__()
        self.proj = ConvModule(before, after, size, stride)

    def forward(self, x):
        return self.proj(x)


class Block(nn.Module):
    """Place, mix tokens, mix channels: [B, C, H, W] -> same."""

    def __init__(self, config, stage):
        super().__init__()
        channels = config.widths[stage]
        self.pos_embed = depthwise(channels, 7)
        self.norm1 = nn.GroupNorm(1, channels)
        self.token_mixer = DualMixer(config, stage)
        self.layer_scale_1 = LayerScale(channels)
        self.norm2 = nn.GroupNorm(1, channels)
        self.mlp = FeedForward(channels, int(config.mlp_ratios[stage] * channels))
        self.layer_scale_2 = LayerScale(channels)

    def forward(self, x, table):
        x = x + self.pos_embed(x)
        x = x + self.layer_scale_1(self.token_mixer(self.norm1(x), table))
        return x + self.layer_scale_2(self.mlp(self.norm2(x)))


class LayerScale(nn.Module):
    """A factor and a shift of each channel."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1, 1), 1e-5))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return functional.conv2d(x, self.weight, self.bias, groups=x.shape[1])


class DualMixer(nn.Module):
    """Half the channels through dynamic kernels, half through attention; then mixed."""

    def __init__(self, config, stage):
        super().__init__()
        channels = config.widths[stage]
        half, hidden = channels // 2, max(16, channels // 8)
        self.local_unit = DynamicConv(
            half, config.kernel_sizes[stage], config.num_groups[stage]
        )
        self.global_unit = ReducedAttention(
            half, config.num_heads[stage], config.reductions[stage], config.scale
        )
        self.proj = nn.Sequential(
            depthwise(channels, 3),
            nn.GELU(),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, hidden, 1),
            nn.GELU(),
            nn.BatchNorm2d(hidden),
            nn.Conv2d(hidden, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x, table):
        local, remote = x.chunk(2, dim=1)
        x = torch.cat([self.local_unit(local), self.global_unit(remote, table)], dim=1)
        return x + self.proj(x)


class DynamicConv(nn.Module):
    """Depthwise kernels that each image mixes for itself from G groups of them."""

    def __init__(self, channels, size, groups):
        super().__init__()
        self.size, self.groups = size, groups
        self.weight = nn.Parameter(0.02 * torch.randn(groups, channels, size, size))
        self.bias = nn.Parameter(0.02 * torch.randn(groups, channels))
        self.proj = nn.Sequential(
            ConvModule(channels, channels // 4, 1, active=True),
            nn.Conv2d(channels // 4, groups * channels, 1),
        )

    def gates(self, pooled):
        batch, channels, *sides = pooled.shape
        logits = self.proj(pooled).reshape(batch, self.groups, channels, *sides)
        return logits.softmax(dim=1)

    def forward(self, x):
        batch, channels, rows, columns = x.shape
        kernels = self.gates(functional.adaptive_avg_pool2d(x, self.size))
        kernels = (kernels * self.weight).sum(1)
        shifts = self.gates(x.mean((2, 3), keepdim=True))[..., 0, 0]
        shifts = (shifts * self.bias).sum(1)
        out = functional.conv2d(
            x.reshape(1, -1, rows, columns),
            kernels.reshape(-1, 1, self.size, self.size),
            shifts.flatten(),
            padding=self.size // 2,
            groups=batch * channels,
        )
        return out.reshape(x.shape)


class ReducedAttention(nn.Module):
    """Every pixel to every pixel of a smaller map."""

    def __init__(self, channels, heads, reduction, scale):
        super().__init__()
        self.heads = heads
        self.scale = (channels // heads) ** -0.5 if scale is None else scale
        self.q = nn.Conv2d(channels, channels, 1)
        self.kv = nn.Conv2d(channels, 2 * channels, 1)
        self.local_conv = depthwise(channels, 3)
        self.sr = nn.Identity()
        if reduction > 1:
            size, each = reduction + 3, {"groups": channels}
            self.sr = nn.Sequential(
                ConvModule(channels, channels, size, reduction, active=True, **each),
                ConvModule(channels, channels, 1, **each),
            )

    def forward(self, x, table):
        reduced = self.sr(x)
        reduced = reduced + self.local_conv(reduced)
        query = self.split(self.q(x))
        key, value = map(self.split, self.kv(reduced).chunk(2, dim=1))
        # As logits and a softmax, since the official code has no fused attention.
        logits = query @ key.transpose(-1, -2) * self.scale + table
        out = logits.softmax(-1) @ value
        return out.transpose(-1, -2).reshape(x.shape)

    def split(self, x):
        batch, channels = x.shape[:2]
        x = x.reshape(batch, self.heads, channels // self.heads, -1)
        return x.transpose(-1, -2)  # [B, N, S, D]


class FeedForward(nn.Module):
    """1x1, depthwise kernels of four sizes, 1x1."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.fc1 = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False),
            nn.GELU(),
            nn.BatchNorm2d(hidden),
        )
        self.dwconv = ScaledConvs(hidden)
        self.norm = nn.BatchNorm2d(hidden)
        self.fc2 = nn.Sequential(
            nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x):
        x = self.fc1(x)
        x = self.norm(functional.gelu(self.dwconv(x) + x))
        return self.fc2(x)


class ScaledConvs(nn.Module):
    """Each quarter of the channels with its kernel size; the first has the rest."""

    def __init__(self, channels):
        super().__init__()
        quarter = channels // 4
        self.sizes = [channels - 3 * quarter, quarter, quarter, quarter]
        kernels = zip(self.sizes, (1, 3, 5, 7), strict=True)
        self.proj = nn.ModuleList(depthwise(count, size) for count, size in kernels)

    def forward(self, x):
        parts = zip(self.proj, x.split(self.sizes, dim=1), strict=True)
        return torch.cat([conv(part) for conv, part in parts], dim=1)


def depthwise(channels, size):
    """A depthwise convolution with a bias that keeps the map's size."""
    return nn.Conv2d(channels, channels, size, padding=size // 2, groups=channels)
