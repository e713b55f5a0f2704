"""A drawn video with sound, to try things with where there is no other (needs PyAV)."""

import dataclasses
import os
import pathlib
from fractions import Fraction
from typing import Any

import av
import numpy as np

from gpsattn_jax.data.videos.media.picture import ENCODERS
from gpsattn_jax.files import replaced

# Colours above, below and of the ball that flies across; and the tone, in hertz.
SCENES = {
    "sea": ((150, 205, 240), (20, 70, 130), (250, 250, 250), 330),
    "meadow": ((170, 215, 250), (60, 140, 50), (240, 190, 30), 440),
    "sunset": ((250, 150, 60), (90, 30, 70), (255, 225, 90), 550),
    "night": ((10, 12, 40), (25, 25, 30), (230, 230, 200), 220),
    "snow": ((205, 215, 230), (245, 245, 250), (190, 40, 40), 660),
}
LENGTHS = 2.0, 4.0  # seconds of the shortest and of the longest scene

_SOUND = 48_000  # samples a second


@dataclasses.dataclass(frozen=True)
class Scene:
    """A scene of a drawn video.

    Attributes:
        name: a key of `SCENES`.
        start: seconds.
        end: seconds.
    """

    name: str
    start: float
    end: float


def write_demo_video(
    path: str | os.PathLike,
    *,
    seed: int = 0,
    scenes: int = 8,
    size: tuple[int, int] = (320, 180),
    fps: int = 12,
) -> tuple[Scene, ...]:
    """Draws scenes of 2 to 4 seconds in which a ball flies by, each with its tone.

    Args:
        path: the mp4 to be; it appears whole or not at all.
        seed: another one gives other scenes.
        scenes: how many; no two alike follow each other.
        size: pixels across and down, even numbers.
        fps: frames a second.

    Returns:
        The scenes, in order.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if there is no scene, or a side is odd.
    """
    if scenes < 1 or min(size) < 2 or size[0] % 2 or size[1] % 2:
        raise ValueError(
            "scenes must be at least 1 and size two even numbers; got "
            f"{scenes} and {size}."
        )
    rng = np.random.default_rng(seed)
    planned = _plan(rng, scenes, fps)
    with replaced(pathlib.Path(path)) as partial:
        output = av.open(f"file:{partial}", "w", format="mp4")
        with output:
            name = next(name for name in ENCODERS if name in av.codecs_available)
            picture: Any = output.add_stream(name, rate=fps)
            picture.width, picture.height = size
            picture.pix_fmt = "yuv420p"
            picture.options = {"crf": "20"} if name == "libx264" else {}
            sound: Any = output.add_stream("aac", rate=_SOUND, layout="mono")
            for scene in planned:
                _write_scene(output, picture, scene, rng.uniform(0, 6), size, fps)
            _write_sound(output, sound, planned)
            output.mux(picture.encode(None))
    return planned


def _plan(rng, scenes, fps):
    planned: list[Scene] = []
    for _ in range(scenes):
        before = planned[-1] if planned else Scene("", 0.0, 0.0)
        name = str(rng.choice([name for name in SCENES if name != before.name]))
        frames = round(rng.uniform(*LENGTHS) * fps)
        planned.append(Scene(name, before.end, before.end + frames / fps))
    return tuple(planned)


def _write_scene(output, picture, scene, phase, size, fps):
    for place in range(round(scene.start * fps), round(scene.end * fps)):
        pixels = _draw(scene.name, place / fps + phase, size)
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
        frame.pts, frame.time_base = place, Fraction(1, fps)
        output.mux(picture.encode(frame))


def _draw(name, time, size):
    """[H, W, 3] uint8: land and sky, the line between them swaying, and the ball."""
    above, below, ball, _ = (np.array(value, float) for value in SCENES[name])
    across, down = np.meshgrid(
        np.arange(size[0]) / size[1], np.arange(size[1]) / size[1]
    )
    line = 0.55 + 0.05 * np.sin(4 * across + 2 * time)
    image = np.where((down < line)[..., None], above, below)
    image = image * (1 - 0.25 * np.abs(down - line))[..., None]
    wide = size[0] / size[1]
    left, top = wide * (0.5 + 0.4 * np.sin(1.3 * time)), 0.35 + 0.2 * np.cos(2 * time)
    image[(across - left) ** 2 + (down - top) ** 2 < 0.12**2] = ball
    return np.clip(image, 0, 255).astype(np.uint8)


def _write_sound(output, track, planned):
    times = np.arange(round(planned[-1].end * _SOUND)) / _SOUND
    tones = np.zeros(len(times), np.float32)
    for scene in planned:
        part = slice(round(scene.start * _SOUND), round(scene.end * _SOUND))
        # It fades at both ends, so that it does not click.
        beside = np.minimum(times[part] - scene.start, scene.end - times[part])
        hertz = SCENES[scene.name][3]
        tones[part] = np.sin(2 * np.pi * hertz * times[part]) * np.clip(
            4 * beside, 0, 0.2
        )
    frame = av.AudioFrame.from_ndarray(tones[None], "fltp", "mono")
    frame.sample_rate, frame.time_base, frame.pts = _SOUND, Fraction(1, _SOUND), 0
    output.mux(track.encode(frame))
    output.mux(track.encode(None))
