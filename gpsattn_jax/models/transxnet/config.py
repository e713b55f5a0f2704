"""TransXNet's settings, and the published sizes."""

import dataclasses
from typing import Annotated

from gpsattn_jax.configs import Checked, Count, Rule, Share, above, at_least, one_of
from gpsattn_jax.modules.norms import BatchNorm, GroupNorm

NORMS = {"group": GroupNorm, "batch": BatchNorm}
RESIZES = ("flat", "grid")
ODD = Rule(lambda size: size > 0 and size % 2 == 1, "be odd")
ONE_OR_EVEN = Rule(lambda n: n == 1 or (n > 1 and n % 2 == 0), "be 1 or even")
PER_STAGE = (
    "widths",
    "num_heads",
    "num_groups",
    "kernel_sizes",
    "reductions",
    "mlp_ratios",
    "remat",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """A TransXNet; the defaults are the published tiny one.

    Attributes:
        depths: blocks in each stage.
        widths: channels of each stage, even.
        num_heads: heads of the attention in each stage.
        num_groups: groups of kernels of the dynamic convolutions in each stage.
        kernel_sizes: of the dynamic convolutions in each stage, odd.
        reductions: spatial reduction of the attention's keys in each stage.
        mlp_ratios: hidden width of the feed-forward net, in widths, in each stage.
        image_size: side of the images in pixels; sets the sizes of the position
            tables. Images of other sizes run too: the tables are then resized.
        table_resize: how: "flat" (the official way, as a plane of tokens by reduced
            tokens) or "grid" (along the rows and columns of both).
        norm: before the mixer and the feed-forward net: "group" or "batch".
        layer_scale: initial factor of the residual branches; None for no layer scale.
        scale: factor on the attention's logits; 1 / sqrt(head width) if None.
        drop_path: share of examples whose branch is dropped in the last block; grows
            linearly from 0 over all blocks.
        dropout: rate inside the feed-forward nets.
        features_only: return the four stages' maps, each normalised, instead of logits.
        remat: stages whose blocks' insides the backward pass computes again, to save
            memory; the first stages hold the most.
        in_channels: channels of the images.
        num_classes: classes; 0 for no head: the network then returns features [B, C].
    """

    depths: tuple[Count, ...] = (3, 3, 9, 3)
    widths: tuple[Count, ...] = (48, 96, 224, 448)
    num_heads: tuple[Count, ...] = (1, 2, 4, 8)
    num_groups: tuple[Count, ...] = (2, 2, 2, 2)
    kernel_sizes: tuple[Annotated[int, ODD], ...] = (7, 7, 7, 7)
    reductions: tuple[Annotated[int, ONE_OR_EVEN], ...] = (8, 4, 2, 1)
    mlp_ratios: tuple[Annotated[float, above(0)], ...] = (4, 4, 4, 4)
    image_size: int = 224
    table_resize: Annotated[str, one_of(RESIZES)] = "flat"
    norm: Annotated[str, one_of(NORMS)] = "group"
    layer_scale: float | None = 1e-5
    scale: float | None = None
    drop_path: Share = 0.1
    dropout: Share = 0.0
    features_only: bool = False
    remat: tuple[bool, ...] = (False, False, False, False)
    in_channels: Count = 3
    num_classes: Annotated[int, at_least(0)] = 1000

    def check_together(self) -> None:
        """Stages have all their entries, heads divide, the image is large enough."""
        self.check_lengths(PER_STAGE, "depths", "stages")
        heads = zip(self.widths, self.num_heads, strict=True)
        if any(width % (2 * count) for width, count in heads):
            twice = f"twice num_heads={self.num_heads}"
            self.refuse("widths", f"be multiples of {twice}")
        if self.image_size < self.stride:
            self.refuse(
                "image_size", f"be at least {self.stride}, the network's stride"
            )

    @property
    def stride(self) -> int:
        """Pixels of the image for one of the last map."""
        return 4 * 2 ** (len(self.depths) - 1)

    def grids(self, height: int, width: int) -> list[tuple[int, int, int, int]]:
        """Each stage's (rows, columns) and reduced (rows, columns) for an image."""
        found = []
        for stage, reduction in enumerate(self.reductions):
            sides = [-(-side // (4 * 2**stage)) for side in (height, width)]
            found.append((*sides, *(-(-side // reduction) for side in sides)))
        return found


VARIANTS = {
    "tiny": Config(),
    "small": Config(
        depths=(4, 4, 12, 4),
        widths=(64, 128, 320, 512),
        num_heads=(1, 2, 5, 8),
        num_groups=(2, 2, 3, 4),
        mlp_ratios=(6, 6, 4, 4),
        drop_path=0.2,
    ),
    "base": Config(
        depths=(4, 4, 21, 4),
        widths=(76, 152, 336, 672),
        num_heads=(2, 4, 8, 16),
        num_groups=(2, 2, 4, 4),
        mlp_ratios=(8, 8, 4, 4),
        drop_path=0.4,
    ),
}
