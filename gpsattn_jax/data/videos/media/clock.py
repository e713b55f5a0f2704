"""The one time line of a video file, also where its own clock restarts (needs PyAV).

The timestamps of joined recordings (`cat a.ts b.ts`, segments of cameras) begin anew in
the middle of the file. Every reader has to take such a file alike: each part follows
the end of the picture before it, and its sound moves by the same amount.
"""

import bisect
import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import av

from gpsattn_jax.data.videos.media import streams as video_streams

_BACK = 1.0  # seconds that a clock goes back where it restarts; reordering is less
_AHEAD = 10.0  # seconds; broadcast formats may jump ahead as well, as FFmpeg has it
_FEWEST = 3  # packets of a part; fewer with times of their own are damage
# Their tables of times cannot restart, and are large: they need no look at each packet.
_TABLES = {"mov", "avi"}
_JUMPING = {"mpegts", "mpeg"}


@dataclasses.dataclass(frozen=True)
class Clock:
    """How a file's timestamps become seconds as a player counts them.

    Attributes:
        zero: seconds of the file's clock at which a player shows 0:00; None if the file
            does not say.
        end: seconds of the file's clock at which its last picture ends; None if that is
            not known without decoding.
        shifts: {stream: ((its first packet, seconds to add), …)}; empty unless the
            clock restarts.
        keys: {picture stream: ((seconds, packet), …)} of its key frames, likewise.
    """

    zero: float | None
    end: float | None = None
    shifts: Mapping[int, tuple[tuple[int, float], ...]] = dataclasses.field(
        default_factory=dict
    )
    keys: Mapping[int, tuple[tuple[float, int], ...]] = dataclasses.field(
        default_factory=dict
    )

    @property
    def restarts(self) -> bool:
        """Whether the file's own clock begins anew somewhere."""
        return bool(self.shifts)

    def shift(self, stream: int, packet: int) -> float:
        """Seconds to add to the times of a stream's packet, counted from 0."""
        parts = self.shifts.get(stream, ((0, 0.0),))
        return parts[bisect.bisect(parts, packet, key=lambda part: part[0]) - 1][1]

    def key_before(self, stream: int, seconds: float) -> int:
        """The last packet with a key frame that is shown at `seconds` or before."""
        keys = self.keys.get(stream, ())
        place = bisect.bisect(keys, seconds, key=lambda key: key[0])
        return keys[place - 1][1] if place else 0


@dataclasses.dataclass
class _Part:
    """Packets between two restarts; seconds of the file's own clock."""

    first: int
    start: float
    end: float
    last: float  # decoding time of the last packet
    packets: int = 0


def read_clock(path: str) -> Clock:
    """The clock of a file; most formats are looked through once, packet by packet.

    Raises:
        FileNotFoundError, OSError, ValueError: as `streams.open_video`; or if picture
            and sound restart at different places, so that nobody knows what belongs
            together.
    """
    video_streams.check_file(path)
    known = os.stat(path)
    return _read_clock(path, known.st_size, known.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _read_clock(path, size, changed):
    del size, changed  # a changed file is another one
    with video_streams.open_video(path) as container:
        start = container.start_time
        zero = None if start is None else start / av.time_base
        names = set(container.format.name.split(","))
        picture = video_streams.picture_stream(container, path)
        if names & _TABLES:
            return Clock(zero)
        index = picture.index
        scanned, keys = _scan(container, picture)
    parts = {n: _whole(found, bool(names & _JUMPING)) for n, found in scanned.items()}
    pictures = parts.pop(index)
    if not pictures:
        return Clock(zero)
    if len(pictures) == 1 and all(len(sounds) < 2 for sounds in parts.values()):
        return Clock(zero, pictures[0].end)
    shifts = _shifts(pictures)
    ends = pictures[-1].end + shifts[-1]
    found = {index: _starts(pictures, shifts)}
    for stream, sounds in parts.items():
        if sounds:
            _check_pairs(path, pictures, sounds)
            found[stream] = _starts(sounds, shifts)
    clock = Clock(zero, ends, found)
    times = [(time + clock.shift(index, n), n) for time, n in keys]
    return dataclasses.replace(clock, keys={index: tuple(times)})


def _scan(container, picture):
    """({stream: parts}, [(seconds, packet) of each key frame])."""
    streams = [picture, *video_streams.sound_streams(container)]
    default = float(1 / video_streams.frame_rate(picture))
    parts: dict[int, list[_Part]] = {stream.index: [] for stream in streams}
    counts = dict.fromkeys(parts, 0)
    keys = []
    for packet in _packets(container, streams):
        stream = packet.stream.index
        number = counts[stream]
        counts[stream] += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            continue
        base = float(packet.time_base)
        presented = stamp * base
        decoded = presented if packet.dts is None else packet.dts * base
        lasts = packet.duration * base if packet.duration else default
        found = parts[stream]
        if not found or not -_BACK <= decoded - found[-1].last <= _AHEAD:
            found.append(_Part(number, presented, presented, decoded))
        part = found[-1]
        part.start, part.end = (
            min(part.start, presented),
            max(part.end, presented + lasts),
        )
        part.last, part.packets = decoded, part.packets + 1
        if packet.is_keyframe and stream == picture.index:
            keys.append((presented, number))
    return parts, keys


def _packets(container: Any, streams: Any) -> Iterator[Any]:
    """All packets that can be read; a damaged end is no matter here."""
    packets = container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet


def _whole(parts: list[_Part], jumping: bool) -> list[_Part]:
    """Parts by restarts alone: no single wrong times, no pictures shown for long."""
    kept: list[_Part] = []
    for place, part in enumerate(parts):
        after = parts[place + 1 : place + 2]
        wrong = part.packets < _FEWEST and kept and after and _fit(kept[-1], after[0])
        if wrong:
            continue
        long = kept and not jumping and part.start - kept[-1].end >= -_BACK
        if kept and (long or _fit(kept[-1], part)):
            kept[-1] = _joined(kept[-1], part)
        else:
            kept.append(part)
    few = [part for part in kept if part.packets < _FEWEST]
    return [part for part in kept if part not in few] or kept[:1]


def _fit(one, two):
    """Whether a part goes on where another ends."""
    return -_BACK <= two.start - one.end <= _AHEAD


def _joined(one, two):
    return _Part(
        one.first,
        min(one.start, two.start),
        max(one.end, two.end),
        two.last,
        one.packets + two.packets,
    )


def _shifts(pictures):
    """Seconds to add in each part, so that the picture goes on without a break."""
    shifts = [0.0]
    for before, part in zip(pictures, pictures[1:], strict=False):
        shifts.append(before.end + shifts[-1] - part.start)
    return shifts


def _starts(parts, shifts):
    starts = (
        (part.first, seconds) for part, seconds in zip(parts, shifts, strict=True)
    )
    return tuple(starts)


def _check_pairs(path, pictures, sounds):
    """Raises ValueError unless each part of the picture has its part of the sound."""
    pairs = zip(pictures, sounds, strict=False)
    fit = all(abs(one.start - two.start) < _AHEAD for one, two in pairs)
    if len(pictures) == len(sounds) and fit:
        return
    raise ValueError(
        f"{path}: its clock restarts {len(pictures) - 1} times in the picture and "
        f"{len(sounds) - 1} times in the sound, so which sound belongs to which "
        "picture cannot be found out. Join its parts anew, by a program that gives "
        "them one time line (such as FFmpeg's concat)."
    )
