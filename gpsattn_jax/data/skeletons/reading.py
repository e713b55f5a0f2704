"""How arrays of joints are read: their axes, their channels, their confidences."""

import dataclasses

import numpy as np

SURE = 0.3  # a pose estimator's confidence that is commonly asked for


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How arrays of joints are read where their format does not say it.

    Attributes:
        axes: "tmvc", "ctvm" or "mtvc": the order of frames (T), persons (M), joints (V)
            and channels (C); "auto" where the shapes decide it.
        channels: "xy", "xyc", "xyz" or "xyzc", c a confidence; "auto" where the numbers
            decide it.
        least_confidence: joints of less are missing; below 0 for a format's own.
    """

    axes: str = "auto"
    channels: str = "auto"
    least_confidence: float = -1.0

    def least(self, usual: float) -> float:
        """The least confidence, or what is usual in a format."""
        return usual if self.least_confidence < 0 else self.least_confidence

    @property
    def flags(self) -> str:
        """What is not left to "auto", as the flags that a user gives."""
        given = {"axes": self.axes, "channels": self.channels}
        return " ".join(f"--data.{k}={v}" for k, v in given.items() if v != "auto")


@dataclasses.dataclass(frozen=True, eq=False)
class RawClip:
    """One clip as its file has it.

    Attributes:
        name: of the clip, with its file; begins every message on it.
        joints: three or four axes.
        mask: like `joints` without channels, or None.
        axes: the order that the format prescribes; "auto" if it prescribes none.
        channels: likewise.
        usual_confidence: joints of less are missing, if no flag says otherwise.
        picture: (height, width) of the pictures in which flat joints are in pixels;
            they are moved to its middle and divided by half of its longer side.
    """

    name: str
    joints: np.ndarray
    mask: np.ndarray | None = None
    axes: str = "auto"
    channels: str = "auto"
    usual_confidence: float = SURE
    picture: tuple[int, int] | None = None
