"""Pixels of more than 8 bits -> 8 bits, by the range that they use."""

import sys
from typing import Any

import numpy as np

BITS = (8, 10, 12, 14, 16)  # that cameras and scanners write into files of 16 bits


def declared_bits(image: Any) -> int:
    """How many bits of its 16 a file says that it uses; 0 if it does not say.

    Args:
        image: Pillow's, as it was opened.
    """
    if image.format == "PPM":  # has a greatest value, and Pillow scales by it
        return 16
    tags = getattr(image, "tag_v2", {})
    first = {name: _first(tags.get(name)) for name in (258, 281, 341)}
    if 8 < first[258] < 16:
        return first[258]
    most = first[281] or first[341]  # MaxSampleValue, SMaxSampleValue
    return int(most).bit_length() if 0 < most <= 65535 else 0


def to_eight_bits(
    values: np.ndarray, bits: int = 0, declared: int = 0, name: str = ""
) -> np.ndarray:
    """Scales whole numbers to 0..255, and says once by which range, if not by all 16.

    Args:
        values: [H, W], of 16 bits or more.
        bits: of the range: 0..2^bits - 1. 0 takes what the file declares, or else the
            least of `BITS` into which the values fit.
        declared: by the file, or 0; see `declared_bits`.
        name: of the image, for what is said.

    Returns:
        [H, W] uint8; a value beyond the range is white.

    Raises:
        ValueError: if a value is below 0 or needs more than 16 bits.
    """
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > 65535:
        raise ValueError("its pixels are integers of unknown range")
    fitting = [known for known in BITS if highest < 2**known]
    how = "set"
    if not bits:
        trusted = declared and highest < 2**declared
        bits, how = (declared, "declared") if trusted else (fitting[0], "found")
    if bits < 16 and how != "set":
        _say_once(name, bits, how, highest)
    scaled = values.astype(np.uint32) * 255 // (2**bits - 1)
    return np.minimum(scaled, 255).astype(np.uint8)


def check_colours(image: Any, high_bytes: bool) -> None:
    """Refuses colours of 16 bits that use the lower 12: only the upper 8 are decoded.

    Args:
        image: Pillow's, decoded.
        high_bytes: whether its pixels are the upper bytes of 16 bits.

    Raises:
        ValueError: if next to nothing is left of them.
    """
    if high_bytes:
        colours = image.getextrema()[:3]
        if max(high for _, high in colours) < 16:
            raise ValueError(
                "its colours of 16 bits use 12 bits or fewer, and would come out "
                "black; save it with 8 bits a colour"
            )


def has_high_bytes(image: Any) -> bool:
    """Whether Pillow will decode the upper bytes of 16-bit colours alone."""
    modes = [
        str(argument)
        for tile in getattr(image, "tile", ())
        for argument in _tuple(tile[3])
    ]
    return image.mode in ("RGB", "RGBA", "LA") and any(";16" in m for m in modes)


def _tuple(arguments):
    return arguments if isinstance(arguments, tuple) else (arguments,)


def _first(values):
    values = values[0] if isinstance(values, tuple) and values else values
    return values if isinstance(values, int) else 0


_SAID: set[tuple[int, str]] = set()


def _say_once(name, bits, how, highest):
    if (bits, how) in _SAID:
        return
    _SAID.add((bits, how))
    reason = how if how == "declared" else f"found: at most {highest:,}"
    print(
        f"{name or 'image'}: pixels of 16 bits are read as {bits} bits ({reason}); "
        "--data.bits sets it for all pictures. Not said again.",
        file=sys.stderr,
    )
