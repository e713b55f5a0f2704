"""Parts of a video, joined and encoded anew, with their sound (needs PyAV)."""

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Sequence

import av

from gpsattn_jax.data.videos.media import streams as video_streams
from gpsattn_jax.data.videos.media.picture import PictureTrack
from gpsattn_jax.data.videos.media.sampling import probe
from gpsattn_jax.data.videos.media.sound import SoundTrack, choose_sound, describe_sound
from gpsattn_jax.files import replaced


@dataclasses.dataclass(frozen=True)
class WrittenVideo:
    """What was written.

    Attributes:
        segments: (start, end) of each part, seconds, as it was cut: at frames.
        n_frames: how many frames.
        duration: seconds, the sum of the parts.
        audio: the source's sound track, such as "track 1 of 0..1, eng"; "" if none.
        encoder: what encoded the picture, such as libx264.
        tone_mapped: HLG or PQ, if the picture was tone-mapped from it to BT.709; else
            "", and colours are the source's.
    """

    segments: tuple[tuple[float, float], ...]
    n_frames: int
    duration: float
    audio: str
    encoder: str
    tone_mapped: str

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track."""
        return bool(self.audio)


def write_segments(
    source: str | os.PathLike,
    output: str | os.PathLike,
    segments: Sequence[tuple[float, float]],
    *,
    quality: int = 20,
    audio: str = "default",
    progress: Callable[[float, float], None] | None = None,
) -> WrittenVideo:
    """Writes parts of a video one after the other, as an mp4 that starts at once.

    The picture is encoded anew as H.264 (MPEG-4 where PyAV has no encoder for it),
    yuv420p, upright, its sides even; frames keep their distances in time, also varying
    ones. A cut is moved to the nearest beginning of a frame, by half a frame or 50 ms
    at most; a frame shown for longer is cut itself. Sound is cut at the same instants.
    Damaged frames are left out, damaged sound is silent. Colours are the source's, and
    tagged as there; HLG and PQ are tone-mapped to BT.709. The file appears whole or not
    at all.

    Args:
        source: the video.
        output: the mp4 to be.
        segments: (start, end) of each part, seconds as a player counts them; in order,
            not overlapping. An end beyond the video's means its end.
        quality: x264's constant rate factor: 18 is near the source, 28 is rough.
        audio: the source's sound track; see `sound.choose_sound`.
        progress: called now and then with the seconds done, and how many there are.

    Returns:
        What was written.

    Raises:
        FileNotFoundError, ValueError: as for `probe`.
        OSError: `OUTPUT cannot be written: why`.
        ValueError: if output is source, a segment holds no frame, segments are empty,
            overlap or are out of order, or there is no such sound track.
    """
    info, output = probe(source), pathlib.Path(output)
    parts = _checked(segments)
    if output.exists() and os.path.samefile(source, output):
        raise ValueError(f"output must not be the source; got {output} for both.")
    if output.is_dir():
        raise IsADirectoryError(f"{output} cannot be written: it is a folder.")
    try:
        with replaced(output) as partial:
            return _write(info, partial, parts, quality, audio, progress)
    except (OSError, av.FFmpegError) as error:
        why = error.strerror or error
        raise OSError(f"{output} cannot be written: {why}.") from error


def _write(info, partial, parts, quality, audio, progress):
    total, cut = sum(min(end, info.end) - start for start, end in parts), []
    with contextlib.ExitStack() as stack:
        # Sound is read from a container of its own, at its own pace.
        reading, listening = (
            stack.enter_context(video_streams.open_video(info.path)) for _ in range(2)
        )
        options = {"movflags": "+faststart"}
        output = av.open(f"file:{partial}", "w", format="mp4", options=options)
        output = stack.enter_context(output)
        picture = PictureTrack(output, reading, info, quality)
        heard = choose_sound(listening, info.path, audio)
        sound = heard and SoundTrack(output, listening, heard, info)
        for start, end in parts:
            begun, until, before = None, end, picture.time
            for time, until in picture.copy(start, end):
                if begun is None:
                    begun = time
                    if sound:
                        sound.begin(time, before)
                if sound:
                    sound.write_until(until)
                if progress:
                    progress(min(picture.time, total), total)
            if begun is None:
                raise ValueError(
                    f"segments must hold frames of {info.path}, which "
                    f"lasts from {info.start:.2f} to {info.end:.2f} s; "
                    f"({start}, {end}) holds none."
                )
            cut.append((begun, until))
        for track in (picture, sound):
            if track:
                track.finish()
        words = describe_sound(listening, heard) if heard else ""
    return WrittenVideo(
        segments=tuple(cut),
        n_frames=picture.n_frames,
        duration=picture.time,
        audio=words,
        encoder=picture.encoder,
        tone_mapped=picture.tone_mapped,
    )


def _checked(segments):
    """Segments that touch become one, so that nothing happens between them."""
    parts: list[tuple[float, float]] = []
    for start, end in segments:
        least = parts[-1][1] if parts else 0.0
        if not (math.isfinite(end) and least <= start < end):
            raise ValueError(
                "segments must be (start, end) with 0 <= start < end, in order and not "
                f"overlapping; got ({start}, {end})"
                + (f" after one that ends at {least}." if parts else ".")
            )
        if parts and start == least:
            parts[-1] = parts[-1][0], end
        else:
            parts.append((start, end))
    if not parts:
        raise ValueError("segments must hold one (start, end) at least; got none.")
    return parts
