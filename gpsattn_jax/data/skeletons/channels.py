"""The channels of joints: flat or in space, with or without a confidence."""

import numpy as np

from gpsattn_jax.data.skeletons.layout import Layout

CHANNELS = ("auto", "xy", "xyc", "xyz", "xyzc")
_HIGHEST = 1.1  # heat maps overshoot: a confidence may be a little above 1
_PIXELS = 10.0  # coordinates that reach farther than this are no shares of a picture


class ChannelRange:
    """What numbers the channels of a set have, gathered clip by clip.

    Args:
        name: of the first clip; messages name it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.low, self.high, self.reach = np.inf, -np.inf, np.zeros(2)

    def include(self, array: np.ndarray) -> None:
        """Looks at joints [..., C]; those at zero or not finite are left out."""
        flat = array.reshape(-1, array.shape[-1])
        flat = flat[np.isfinite(flat).all(-1) & (flat != 0).any(-1)]
        if not len(flat) or flat.shape[-1] < 3:
            return
        self.low = min(self.low, float(flat[:, -1].min()))
        self.high = max(self.high, float(flat[:, -1].max()))
        self.reach = np.maximum(self.reach, np.abs(flat[:, :2]).max(0))

    @property
    def may_be_confidence(self) -> bool:
        """Whether the last channel lies within 0..1 and is not zero throughout."""
        return self.low >= 0 and 0 < self.high <= _HIGHEST

    @property
    def in_pixels(self) -> bool:
        """Whether x and y are too large for metres or shares of a picture."""
        return bool((self.reach > _PIXELS).all())


def channels_of(
    width: int, numbers: ChannelRange, channels: str, where: str, layout: Layout
) -> str | None:
    """The channels of joints that have so many numbers; None if they do not fit.

    Args:
        width: how many numbers a joint has.
        numbers: what they are.
        channels: one of `CHANNELS`. Clips without the confidence that it names fit, and
            clips with one more column that is certainly a confidence.
        where: begins messages on the whole set.
        layout: of the joints.

    Raises:
        ValueError: if "auto" finds two meanings.
    """
    plain = {2: "xy", 3: "xyz"}.get(width)
    if channels != "auto":
        bare = channels.removesuffix("c")
        if width == len(channels):
            return channels
        if plain == bare:
            return plain
        certain = numbers.may_be_confidence and (width == 4 or numbers.in_pixels)
        return f"{bare}c" if width == len(bare) + 1 and certain else None
    if width == 4:
        if numbers.high < numbers.low or numbers.may_be_confidence:
            return "xyzc"
        raise ValueError(
            f"{numbers.name}: the fourth channel must be a confidence within 0..1; got "
            f"{numbers.low:g} to {numbers.high:g}."
        )
    if width != 3 or not numbers.may_be_confidence:
        return plain
    if numbers.in_pixels:
        return "xyc"
    raise ValueError(
        f"{where}: the third channel is ambiguous: in {numbers.name} and the others it "
        f"is within {numbers.low:.2g} to {numbers.high:.2g}, which can be a confidence "
        f"or a depth, and x and y are not in pixels ({layout.name}). Name the channels "
        "with --data.channels=xyc or --data.channels=xyz."
    )


def split_confidence(
    array: np.ndarray, mask: np.ndarray | None, channels: str, least: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Joints [..., C] without their confidence, and the mask [...] that it makes.

    Args:
        array: joints with all their channels.
        mask: False where a joint is missing, or None.
        channels: of the array.
        least: a joint of less confidence, or of none, is missing.

    Returns:
        (joints, mask); the mask is the given one where there is no confidence.
    """
    if not channels.endswith("c"):
        return array, mask
    joints, confidence = array[..., :-1], array[..., -1]
    sure = np.isfinite(joints).all(-1) & (confidence >= least) & (confidence > 0)
    if mask is not None and mask.size == sure.size:
        sure &= mask.reshape(sure.shape).astype(bool)
    return joints, sure
