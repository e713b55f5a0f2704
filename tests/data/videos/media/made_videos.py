"""Small videos made for tests: scenes of one colour each, with a tone to each."""

from fractions import Fraction

import av
import numpy as np

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 200, 20), (20, 20, 220), (235, 235, 235)
SCENES = ((1.0, RED, 400), (1.5, GREEN, 900), (1.0, BLUE, 1600), (0.5, WHITE, 3000))

RATE = 48_000  # samples a second


def write_video(
    path,
    scenes=SCENES,
    *,
    fps=10,
    times=None,
    size=(64, 48),
    sound=False,
    sound_from=0.0,
    sound_until=None,
    rotation=0,
    left=None,
    encoder="libx264",
    options=None,
):
    """Writes scenes of (seconds, colour, hertz) and returns the path.

    Args:
        times: when each frame begins, for a varying rate; the last one ends with the
            scenes.
        sound_from: seconds of nothing before the sound track begins.
        sound_until: where it ends; with the scenes by default.
        rotation: degrees counterclockwise, written as metadata.
        left: colour of the left half of every frame, so that left and right differ.
    """
    end = sum(length for length, _, _ in scenes)
    if times is None:
        times = [float(k / Fraction(fps)) for k in range(round(end * fps))]
    base = Fraction(1, 90_000)
    with av.open(str(path), "w", options=options or {}) as output:
        stream = output.add_stream(encoder, rate=Fraction(fps))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = (
            base if encoder == "libx264" else 1 / Fraction(fps)
        )
        stream.codec_context.gop_size = 12
        if encoder == "libx264":
            stream.options = {"crf": "10"}
        if rotation:
            stream.set_display_rotation(rotation)
        track = output.add_stream("aac", rate=RATE, layout="mono") if sound else None
        lengths = {}
        for place, time in enumerate(times):
            until = times[place + 1] if place + 1 < len(times) else end
            frame = _picture(color_at(scenes, time), size, left)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time / frame.time_base)
            lengths[frame.pts] = round(until / frame.time_base) - frame.pts
            _mux(output, stream.encode(frame), lengths)
        _mux(output, stream.encode(None), lengths)
        if track:
            samples = tone(scenes)[round(sound_from * RATE) :]
            stop = end if sound_until is None else sound_until
            samples = samples[: round((stop - sound_from) * RATE)]
            frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(sound_from * RATE)
            output.mux(track.encode(frame))
            output.mux(track.encode(None))
    return path


def color_at(scenes, time):
    """The colour at that second."""
    for length, color, _ in scenes:
        if time < length - 1e-6:
            return color
        time -= length
    return scenes[-1][1]


def tone(scenes):
    """Samples of all scenes' tones."""
    parts = [
        0.5 * np.sin(2 * np.pi * hertz * np.arange(round(length * RATE)) / RATE)
        for length, _, hertz in scenes
    ]
    return np.concatenate(parts).astype(np.float32)


def write_sound(path, seconds=1.0):
    """A file with sound alone."""
    with av.open(str(path), "w") as output:
        track = output.add_stream("aac", rate=RATE, layout="mono")
        samples = tone([(seconds, RED, 400)])[None]
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "mono")
        frame.sample_rate = RATE
        output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return path


def pictures(path):
    """All frames of a file as FFmpeg gives them: [(seconds, mean colour)]."""
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format="rgb24").mean((0, 1)))
            for frame in container.decode(video=0)
        ]


def samples(path):
    """The first sound track of a file, by its timestamps: [n] from second 0 on."""
    whole = np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            place = round(frame.time * frame.sample_rate)
            values = frame.to_ndarray().mean(0)
            whole.resize(max(len(whole), place + len(values)), refcheck=False)
            whole[max(place, 0) : place + len(values)] = values[max(-place, 0) :]
    return whole


def _picture(color, size, left):
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    pixels[:] = color
    if left is not None:
        pixels[:, : size[0] // 2] = left
    return av.VideoFrame.from_ndarray(pixels, "rgb24")


def _mux(output, packets, lengths):
    for packet in packets:
        packet.duration = lengths.get(packet.pts, packet.duration)
        output.mux(packet)
