"""Clips that cannot be used: all of them in one message, or left out and counted."""

import collections
import re

from gpsattn_jax.data.skeletons.messages import notice

_MOST_LINES = 10
_ADVICE = "--data.skip_bad leaves them out."


class BadClips:
    """Gathers what is wrong with the clips of a set.

    Args:
        where: what the clips are of; begins the message.
        skip: whether bad clips are left out.
    """

    def __init__(self, where: str, skip: bool = False) -> None:
        self.where, self.skip = where, skip
        self._reasons: dict[str, str] = {}

    def __len__(self) -> int:
        """How many clips are bad."""
        return len(self._reasons)

    def __contains__(self, name: str) -> bool:
        """Whether the clip of that name is bad."""
        return name in self._reasons

    def add(self, name: str, error: ValueError | FileNotFoundError | str) -> None:
        """Notes why a clip cannot be used; a message may begin with its name."""
        self._reasons.setdefault(name, str(error).removeprefix(f"{name}: "))

    def settle(self, total: int) -> None:
        """Ends the gathering: nothing, a notice, or an error.

        Args:
            total: how many clips there are, bad ones included.

        Raises:
            ValueError: if clips are bad and `skip` does not leave them out, or if none
                is left.
        """
        if not self._reasons:
            return
        text = self._listing(total)
        if list(self._reasons) == [self.where]:
            raise ValueError(f"{self.where}: {self._reasons[self.where]}")
        if not self.skip:
            raise ValueError(f"{text}\n{_ADVICE}" if len(self) < total else text)
        if len(self) >= total:
            raise ValueError(f"{text}\nNone is left.")
        notice(f"{text}\nThey are left out (data.skip_bad).")

    def _listing(self, total):
        lines = [f"{self.where}: {len(self)} of {total} clips cannot be used:"]
        rows = list(self._reasons.items())
        for name, reason in rows[:_MOST_LINES]:
            own = name.removeprefix(self.where).lstrip(":/ ")
            lines.append(f"  {own}: {reason}")
        if len(rows) > _MOST_LINES:
            lines.append(f"  and {len(rows) - _MOST_LINES} more")
        kinds = collections.Counter(_kind(reason) for reason in self._reasons.values())
        if len(rows) > 1:
            counts = [f"{count} x {kind}" for kind, count in kinds.most_common(5)]
            lines.append(f"By kind: {'; '.join(counts)}.")
        return "\n".join(lines)


def _kind(reason):
    """A reason without what differs from clip to clip."""
    return re.sub(r"\d+", "N", re.split(r"; (?:got|it has)", reason)[0]).rstrip(".")
