"""The parts of a set of images, and what people should know of them in a few lines."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gpsattn_jax.data.images.sources import Images

_MOST = 10  # classes that are listed


@dataclasses.dataclass(frozen=True)
class LabelledSets(Mapping[str, Images]):
    """Images by part: a mapping of "train" and, where they are there, other parts.

    Attributes:
        parts: the images.
        notes: lines on what was left out, taken or held out.
        held_out: the parts that were held out of "train": other pictures there would
            make them others.
    """

    parts: Mapping[str, Images]
    notes: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()

    def __getitem__(self, part: str) -> Images:
        """The images of a part."""
        return self.parts[part]

    def __iter__(self) -> Iterator[str]:
        """Names of the parts."""
        return iter(self.parts)

    def __len__(self) -> int:
        """How many parts."""
        return len(self.parts)

    def summary(self, first: str = "train") -> str:
        """Parts, classes with counts, and the notes: one block of lines.

        Args:
            first: the part whose classes are counted.
        """
        lines = [f"{len(self[first].class_names)} classes:"]
        for part, images in self.parts.items():
            text = class_counts(images.labels, images.class_names)
            lines.append(f"  {part:<11}{len(images):>9,} pictures   {text}")
        return "\n".join(lines + [f"  {note}" for note in self.notes])


def class_counts(labels: np.ndarray, class_names: Sequence[str]) -> str:
    """The first ten classes with their counts, and how many more there are.

    Args:
        labels: [n].
        class_names: a name for each class.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    pairs = zip(class_names, counts, strict=True)
    listed = [f"{name} {count:,}" for name, count in pairs][:_MOST]
    return ", ".join(listed) + _rest(class_names)


def class_list(class_names: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    return ", ".join(class_names[:_MOST]) + _rest(class_names)


def _rest(class_names):
    more = len(class_names) - _MOST
    return f", and {more:,} more" if more > 0 else ""
