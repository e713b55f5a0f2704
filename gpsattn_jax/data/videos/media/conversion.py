"""Frames turned upright, scaled, and in another format of pixels (needs PyAV).

Colours keep their matrix, primaries, transfer and range, with the tags that name them.
What is made for bright displays (HLG and PQ, usually of 10 bits) is tone-mapped to
BT.709: 8 bits of it would be wrong on any display.
"""

import pathlib
import tempfile
from typing import Any

import av

from gpsattn_jax.data.videos.media.tone_mapping import TRANSFERS, color_table

TAGS = ("colorspace", "color_range", "color_primaries", "color_trc")

_UNKNOWN, _RGB = 2, 0  # matrices, by FFmpeg's numbers
_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
}
_RANGES = {1: "tv", 2: "pc"}
_BT709_PICTURE = "out_color_matrix=bt709:out_range=tv"


class Converter:
    """Turns stored frames upright, scales them and changes their pixel format.

    Args:
        size: width and height of the result, pixels.
        rotation: degrees counterclockwise.
        pixel_format: one of FFmpeg's.

    Attributes:
        tone_mapped: HLG or PQ, once a frame of it was tone-mapped to BT.709; else "".
    """

    _TURNS = {0: (), 90: ("cclock",), 180: ("clock", "clock"), 270: ("clock",)}

    def __init__(self, size: tuple[int, int], rotation: int, pixel_format: str):
        width, height = size[::-1] if rotation in (90, 270) else size
        self._size = f"{width}:{height}:flags=bicubic"
        self._rest = [("format", pixel_format)]
        self._rest += [("transpose", turn) for turn in self._TURNS[rotation]]
        self._to_rgb = pixel_format.startswith("rgb")
        self._kind: tuple | None = None
        self._graph: Any = None
        self._first: tuple[int, int] | None = None  # matrix and range given out
        self.tone_mapped = ""

    def __call__(self, frame: Any) -> Any:
        """A decoded frame -> the converted one."""
        kind = (
            frame.width,
            frame.height,
            frame.format.name,
            *(getattr(frame, name) for name in TAGS),
        )
        if kind != self._kind:  # also in the middle of some files
            self._kind, self._graph = kind, self._build(frame)
        self._graph.vpush(frame)
        converted = self._graph.vpull()
        if self._first is None:
            self._first = converted.colorspace, converted.color_range
        return converted

    def _build(self, frame):
        graph = av.filter.Graph()
        # What the source does not say of colours, FFmpeg takes for BT.601.
        source = (
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
            f"time_base={frame.time_base.numerator}/{frame.time_base.denominator}:"
            f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
        )
        nodes = [graph.add("buffer", source)]
        if frame.color_trc in TRANSFERS:
            nodes += self._tone_mapping(graph, frame)
        else:
            options = [self._size, *self._colors(frame)]
            nodes.append(graph.add("scale", ":".join(options)))
        nodes += [graph.add(name, setting) for name, setting in self._rest]
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes).configure()
        return graph

    def _tone_mapping(self, graph, frame):
        self.tone_mapped = TRANSFERS[frame.color_trc]
        # Some recorders tag the transfer alone.
        unknown = frame.colorspace == _UNKNOWN and not frame.format.is_rgb
        matrix = ":in_color_matrix=bt2020" if unknown else ""
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder) / "colors.cube"
            table.write_text(color_table(self.tone_mapped))
            colors = graph.add("lut3d", file=str(table), interp="tetrahedral")
        tags = "color_primaries=bt709:color_trc=bt709"
        return [
            graph.add("scale", self._size + matrix),
            graph.add("format", "gbrp10"),
            colors,
            graph.add("setparams", tags),
            graph.add("scale", "" if self._to_rgb else _BT709_PICTURE),
        ]

    def _colors(self, frame):
        """Options of the scaler, where colours do not stay as they are."""
        if self._to_rgb:
            return []
        if frame.format.is_rgb or frame.colorspace == _RGB:
            return [_BT709_PICTURE]
        if self._first is None or _UNKNOWN in (self._first[0], frame.colorspace):
            return []
        # A later part in other colours: a file has one matrix and one range.
        matrix, span = self._first
        options = [f"out_color_matrix={_MATRICES[matrix]}"] * (matrix in _MATRICES)
        return options + [f"out_range={_RANGES[span]}"] * (span in _RANGES)
