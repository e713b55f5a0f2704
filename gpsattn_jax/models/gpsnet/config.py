"""GPS-Net's settings: skeleton, inputs, widths and options; the published sizes."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from gpsattn_jax.configs import Checked, Count, Share, one_of

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")
PARTITIONS = ("shell", "voronoi", "joint", "none")
ORDERS = ("sequential", "parallel")
POOLINGS = ("mean", "mean_max")
BLOCKS = ("attention", "graph")
CODE_PLACES = ("attention", "embedding", "both")
# Options of older files, and what all networks have now; JSON has lists for tuples.
FORMER_FIELDS: dict[str, tuple[Any, ...]] = {
    "parts": ((), []),
    "embedding_size": (64,),
    "ffn_ratio": (2,),
}

# The 25 joints of NTU RGB+D, that the variants are made for.
NTU_EDGES = (
    (0, 1), (1, 20), (20, 2), (2, 3), (20, 4), (4, 5), (5, 6), (6, 7), (20, 8), (8, 9),
    (9, 10), (10, 11), (0, 12), (12, 13), (13, 14), (14, 15), (0, 16), (16, 17),
    (17, 18), (18, 19), (7, 21), (7, 22), (11, 23), (11, 24),
)  # fmt: skip


def data_field(default: Any) -> Any:
    """A field that has no flag of its own: the data decide it."""
    return dataclasses.field(default=default, metadata={"flag": False})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """Skeleton, inputs, widths and options.

    Attributes:
        num_classes: width of the head.
        num_joints: V.
        in_channels: coordinates of a joint, 2 or 3.
        edges: bones, pairs of joints counted from 0.
        root: the joint that shells and bones count from.
        anchors: joints, one for each part of the partition `voronoi`.
        stream: what the network takes: joint, bone (to the neighbour nearer to the
            root), joint_motion or bone_motion.
        positions: the stream itself is an input.
        motions: so many frames apart the stream's differences are inputs, too.
        distances: all distances between the joints of a frame are an input, too, one
            for all of them (alone they make all joints alike); ours, after DD-Net
            (arXiv 1907.09658).
        distance_motions: so many frames apart their differences are inputs, too.
        block: attention (GPS-Net's), or graph: a graph network's, to compare with (see
            `graph_block`), in which options of attentions have no effect.
        widths: channels of each block.
        strides: of time, in each block.
        num_heads: of both attentions.
        partition: joints that share a structural code: shell (equally far from the
            root), voronoi (one anchor is nearest), joint (none do) or none (no code).
        code_place: structural codes are added where attentions compare (attention), to
            the embedded joints, and so to all that follows (embedding), or to both.
        fixed_codes: structural codes are sinusoids of the part; else they are learned.
        spatial_attention: between joints.
        geodesic_bias: it sees distances along the skeleton.
        share_time: one map of it serves all frames.
        channel_attention: between channels.
        time_code: it sees when a frame is.
        order: of both: sequential or parallel.
        temporal_conv: each block also convolves along time.
        pooling: over joints and frames before the head: mean, or mean_max (beside it
            the greatest of the frames' means over joints).
        attention_dropout: share of the weights between joints that training drops.
        dropout: before the head.
        channel_dropout: share of embedded channels that training drops in a clip.
        drop_path: share of clips that skip a residual branch; it grows with depth up to
            this.
    """

    num_classes: Count = data_field(60)
    num_joints: Count = data_field(25)
    in_channels: Count = data_field(3)
    edges: tuple[tuple[int, int], ...] = data_field(NTU_EDGES)
    root: int = data_field(1)
    anchors: tuple[int, ...] = data_field((1, 3, 7, 11, 15, 19))
    stream: Annotated[str, one_of(STREAMS)] = "joint"
    positions: bool = True
    motions: tuple[Count, ...] = (1,)
    distances: bool = False
    distance_motions: tuple[Count, ...] = ()
    block: Annotated[str, one_of(BLOCKS)] = "attention"
    widths: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 256, 256)
    strides: tuple[Count, ...] = (1, 1, 2, 1, 2, 1, 1, 1)
    num_heads: Count = 8
    partition: Annotated[str, one_of(PARTITIONS)] = "shell"
    code_place: Annotated[str, one_of(CODE_PLACES)] = "attention"
    fixed_codes: bool = False
    spatial_attention: bool = True
    geodesic_bias: bool = True
    share_time: bool = False
    channel_attention: bool = True
    time_code: bool = True
    order: Annotated[str, one_of(ORDERS)] = "sequential"
    temporal_conv: bool = True
    pooling: Annotated[str, one_of(POOLINGS)] = "mean"
    attention_dropout: Share = 0.0
    dropout: Share = 0.0
    channel_dropout: Share = 0.0
    drop_path: Share = 0.0

    def check_together(self) -> None:
        """Blocks are whole, heads divide widths, something is an input."""
        if not self.widths or len(self.widths) != len(self.strides):
            both = f"{self.widths} and {self.strides}"
            self.refuse("widths and strides", "have one entry for each block", both)
        if any(width < 1 or width % self.num_heads for width in self.widths):
            self.refuse("widths", f"be multiples of num_heads={self.num_heads}")
        inputs = ("positions", "motions", "distances", "distance_motions")
        if not any(getattr(self, name) for name in inputs):
            raise ValueError(f"One of {', '.join(inputs)} must be an input.")
        if not 0 <= self.root < self.num_joints:
            self.refuse("root", f"be a joint below num_joints={self.num_joints}")

    @staticmethod
    def upgrade(values: Mapping[str, Any]) -> dict[str, Any]:
        """Fields as older files have them -> as they are now: three of them are gone.

        Raises:
            ValueError: if one was saved with another value than all networks have now.
        """
        known = dict(values)
        for name, only in FORMER_FIELDS.items():
            value = known.pop(name, only[0])
            if value not in only:
                raise ValueError(
                    f"{name} is no option any more, and must be {only[0]} where it "
                    f"was saved; got {value!r}."
                )
        return known


VARIANTS = {
    "tiny": Config(widths=(64, 64, 96, 96), strides=(1, 2, 1, 2), num_heads=4),
    "small": Config(
        widths=(64, 64, 96, 96, 128, 128), strides=(1, 1, 2, 1, 2, 1), num_heads=4
    ),
    "base": Config(),
}
