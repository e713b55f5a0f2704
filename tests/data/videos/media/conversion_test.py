"""Colours of converted and of written frames: kept and tagged, or tone-mapped."""

from fractions import Fraction

import av
import numpy as np
import pytest

from gpsattn_jax.data.videos.media.conversion import TAGS, Converter
from gpsattn_jax.data.videos.media.sampling import sampled_frames
from gpsattn_jax.data.videos.media.tone_mapping import color_table, tone_map
from gpsattn_jax.data.videos.media.writing import write_segments

BT601, BT709, BT2020, UNKNOWN = 6, 1, 9, 2  # FFmpeg's numbers
SDR, SDR10, PQ, HLG = 1, 14, 16, 18
LIMITED, FULL = 1, 2
LUMA = {BT601: (0.299, 0.114), BT709: (0.2126, 0.0722), BT2020: (0.2627, 0.0593)}
RED, SKIN, BLUE = (0.8, 0.1, 0.1), (0.8, 0.6, 0.5), (0.1, 0.2, 0.8)


def encoded(color, matrix, span=LIMITED, bits=8):
    """Y, U, V of a colour in 0..1."""
    kr, kb = LUMA[matrix]
    red, green, blue = color
    y = kr * red + (1 - kr - kb) * green + kb * blue
    u, v = (blue - y) / (2 * (1 - kb)), (red - y) / (2 * (1 - kr))
    scale = 1 << (bits - 8)
    if span == FULL:
        return [round(255 * scale * one) for one in (y, u + 0.5, v + 0.5)]
    return [round(scale * one) for one in (16 + 219 * y, 128 + 224 * u, 128 + 224 * v)]


def plain(color, tags, pixel_format="yuv420p"):
    """A frame of one colour with (matrix, range, primaries, transfer)."""
    bits = 10 if "10" in pixel_format else 8
    matrix = tags[0] if tags[0] in LUMA else BT601
    frame = av.VideoFrame(64, 48, pixel_format)
    kind = np.dtype("<u2" if bits == 10 else "u1")
    for plane, value in zip(
        frame.planes, encoded(color, matrix, tags[1], bits), strict=True
    ):
        width = plane.line_size // kind.itemsize
        plane.update(np.full((plane.height, width), value, kind).tobytes())
    for name, value in zip(TAGS, tags, strict=True):
        setattr(frame, name, value)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def written(tmp_path, frames, pixel_format="yuv420p"):
    """A lossless video of such frames, and its summary: (source, what was written)."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for name in TAGS:
            setattr(stream.codec_context, name, getattr(frames[0], name))
        for place, frame in enumerate(frames):
            frame.pts, frame.time_base = place, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return source, write_segments(source, tmp_path / "out.mp4", [(0, 9)], quality=1)


def first_frame(path):
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def tags_of(frame):
    return [int(getattr(frame, name)) for name in TAGS]


def planes(frame):
    return [np.frombuffer(plane, np.uint8)[0] for plane in frame.planes]


@pytest.mark.parametrize("color", [RED, SKIN, BLUE])
@pytest.mark.parametrize(
    "tags",
    [
        (BT709, LIMITED, 1, SDR),
        (BT601, LIMITED, 6, 6),
        (BT2020, LIMITED, 9, SDR10),
        (BT709, FULL, 1, SDR),
        (BT709, LIMITED, 1, 13),  # sRGB's transfer
    ],
)
def test_a_written_file_has_the_source_s_colours_and_tags(tmp_path, tags, color):
    source, video = written(tmp_path, [plain(color, tags)] * 3)
    frame = first_frame(tmp_path / "out.mp4")
    assert tags_of(frame) == list(tags) and video.tone_mapped == ""
    np.testing.assert_allclose(planes(frame), encoded(color, *tags[:2]), atol=2)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert tags_of(container.streams.video[0].codec_context) == list(tags)
    (sampled,) = sampled_frames(source)
    np.testing.assert_allclose(sampled.image[24, 32] / 255, color, atol=0.015)


def test_what_is_not_tagged_stays_so(tmp_path):
    tags = (UNKNOWN, 0, UNKNOWN, UNKNOWN)
    _, video = written(tmp_path, [plain(RED, tags)] * 3)
    frame = first_frame(tmp_path / "out.mp4")
    assert tags_of(frame)[0] == UNKNOWN and video.tone_mapped == ""
    np.testing.assert_allclose(planes(frame), encoded(RED, BT601), atol=2)


def test_ten_bits_of_an_ordinary_picture_become_eight(tmp_path):
    tags = (BT709, LIMITED, 1, SDR)
    frames = [plain(SKIN, tags, "yuv420p10le")] * 3
    _, video = written(tmp_path, frames, "yuv420p10le")
    frame = first_frame(tmp_path / "out.mp4")
    assert tags_of(frame) == list(tags) and frame.format.name == "yuv420p"
    np.testing.assert_allclose(planes(frame), encoded(SKIN, BT709), atol=2)


def test_red_green_and_blue_become_bt709(tmp_path):
    pixels = np.broadcast_to(np.array(RED) * 255, (48, 64, 3)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
    frame = frame.reformat(format="bgr0")
    for name, value in zip(TAGS, (0, FULL, 1, SDR), strict=True):
        setattr(frame, name, value)
    written(tmp_path, [frame] * 3, "bgr0")
    frame = first_frame(tmp_path / "out.mp4")
    assert tags_of(frame)[:2] == [BT709, LIMITED]
    np.testing.assert_allclose(planes(frame), encoded(RED, BT709), atol=2)


def test_a_later_part_is_brought_to_the_colours_of_the_first():
    convert = Converter((64, 48), 0, "yuv420p")
    convert(plain(RED, (BT709, LIMITED, 1, SDR)))
    found = convert(plain(RED, (BT601, LIMITED, 6, 6)))
    np.testing.assert_allclose(planes(found), encoded(RED, BT709), atol=2)
    assert int(found.colorspace) == BT709


# Tone-mapping.


def hlg(light):
    """Signal of scene light in 0..1, of BT.2020."""
    light = np.asarray(light, float)
    high = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-9)) + 0.55991073
    return np.where(light <= 1 / 12, np.sqrt(3 * light), high)


TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)


@pytest.mark.parametrize("transfer, white", [("HLG", 0.75), ("PQ", 0.5806)])
def test_white_paper_is_bright_and_highlights_are_kept_apart(transfer, white):
    greys = np.linspace(0, 1 if transfer == "HLG" else 0.75, 50)
    found = tone_map(np.repeat(greys[:, None], 3, 1), transfer)
    np.testing.assert_allclose(found, found[:, :1].repeat(3, 1), atol=2e-3)
    assert (np.diff(found[:, 1]) > 0).all() and found[0].max() < 0.01
    assert found[-1] == pytest.approx(1, abs=0.01)
    paper = tone_map(np.full(3, white), transfer)
    assert 0.85 < paper[1] < 0.95


@pytest.mark.parametrize("hue", np.eye(3), ids=["red", "green", "blue"])
def test_colours_of_bt709_within_bt2020_stay_what_they_are(hue):
    """HLG's own display gamma makes them somewhat deeper."""
    linear = 0.05 + 0.95 * hue
    found = tone_map(hlg(TO_BT2020 @ linear * 0.15), "HLG")
    strong, weak = found[hue > 0], found[hue == 0]
    np.testing.assert_allclose(weak, weak.mean(), atol=0.02)
    assert (weak / strong) ** 2.4 == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("transfer", [HLG, PQ])
@pytest.mark.parametrize("color", [RED, SKIN, (0.7, 0.7, 0.7)])
def test_bright_pictures_are_tone_mapped_tagged_and_named(tmp_path, transfer, color):
    tags = (BT2020, LIMITED, 9, transfer)
    frames = [plain(color, tags, "yuv420p10le")] * 3
    source, video = written(tmp_path, frames, "yuv420p10le")
    name = {HLG: "HLG", PQ: "PQ"}[transfer]
    assert video.tone_mapped == name
    frame = first_frame(tmp_path / "out.mp4")
    assert tags_of(frame) == [BT709, LIMITED, 1, SDR]
    assert frame.format.name == "yuv420p"
    expected = tone_map(np.array(color), name)
    np.testing.assert_allclose(planes(frame), encoded(expected, BT709), atol=3)
    (sampled,) = sampled_frames(source)
    np.testing.assert_allclose(sampled.image[24, 32] / 255, expected, atol=0.015)


def test_the_table_of_colours_is_one_of_ffmpeg_s():
    lines = color_table("HLG").splitlines()
    assert lines[0] == "LUT_3D_SIZE 33" and len(lines) == 1 + 33**3
    expected = tone_map(np.array([1 / 32, 0, 0]), "HLG")
    np.testing.assert_allclose(
        [float(x) for x in lines[2].split()], expected, atol=1e-6
    )
