"""Files that other packages stumble over: covers, colons, sizes that change."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.videos.media.sampling import probe, sampled_frames
from gpsattn_jax.data.videos.media.writing import write_segments
from tests.data.videos.media import made_videos as made


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def with_cover(path):
    """Puts a picture into an mp4, before the tracks: FFmpeg's first video stream."""
    cover = io.BytesIO()
    Image.new("RGB", (100, 100), (255, 0, 255)).save(cover, "JPEG")
    data = box(b"data", struct.pack(">II", 13, 0) + cover.getvalue())
    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    inside = bytes(4) + handler + box(b"ilst", box(b"covr", data))
    extra = box(b"udta", box(b"meta", inside))
    content, place = path.read_bytes(), 0
    while content[place + 4 : place + 8] != b"moov":
        place += struct.unpack(">I", content[place : place + 4])[0]
    (size,) = struct.unpack(">I", content[place : place + 4])
    assert place + size == len(content)  # behind the frames: no place of one changes
    (header,) = struct.unpack(">I", content[place + 8 : place + 12])
    middle = place + 8 + header
    moov = struct.pack(">I4s", size + len(extra), b"moov")
    path.write_bytes(
        content[:place] + moov + content[place + 8 : middle] + extra + content[middle:]
    )
    return path


def test_a_cover_is_not_the_video(tmp_path):
    path = with_cover(made.write_video(tmp_path / "a.mp4"))
    with av.open(str(path)) as container:
        assert [s.codec_context.name for s in container.streams.video][0] == "mjpeg"
    assert (probe(path).width, probe(path).duration) == (64, pytest.approx(4))
    colors = [frame.image.mean((0, 1)) for frame in sampled_frames(path, 2)]
    np.testing.assert_allclose(colors[0], made.RED, atol=6)
    assert len(colors) == 8


@pytest.mark.parametrize("name", ["10:30 cut.mp4", "100%d done.mp4", "-dash.mp4"])
def test_names_mean_no_protocol_and_no_pattern(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    made.write_video(tmp_path / "a.mp4", sound=True)
    (tmp_path / "a.mp4").rename(name)
    write_segments(name, f"of {name}", [(0.4, 1.4)])
    assert probe(f"of {name}").duration == pytest.approx(1.0, abs=0.01)


def test_a_size_that_changes_in_the_middle(tmp_path):
    """Later frames are scaled to the first one's size."""
    path, rate = tmp_path / "a.ts", Fraction(1, 25)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for part, (color, size) in enumerate(
            ((made.RED, (64, 48)), (made.GREEN, (128, 96)))
        ):
            encoder = av.CodecContext.create("mpeg2video", "w")
            encoder.width, encoder.height = size
            encoder.pix_fmt, encoder.time_base = "yuv420p", rate
            encoder.framerate = Fraction(25)
            frames = [av.VideoFrame.from_image(Image.new("RGB", size, color))
                      for _ in range(50)]  # fmt: skip
            for number, frame in enumerate(frames):
                frame.pts, frame.time_base = number, rate
            for packet in [p for f in (*frames, None) for p in encoder.encode(f)]:
                packet.stream, packet.time_base = stream, rate
                packet.pts, packet.dts = packet.pts + 50 * part, packet.dts + 50 * part
                output.mux(packet)
    frames = list(sampled_frames(path, 2))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    colors = np.array([frame.image.mean((0, 1)) for frame in frames])
    np.testing.assert_allclose(colors[:4], np.tile(made.RED, (4, 1)), atol=8)
    np.testing.assert_allclose(colors[4:], np.tile(made.GREEN, (4, 1)), atol=8)
    write_segments(path, tmp_path / "b.mp4", [(1.0, 3.0)])
    ends = [made.pictures(tmp_path / "b.mp4")[place][1] for place in (0, -1)]
    np.testing.assert_allclose(ends, [made.RED, made.GREEN], atol=8)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    path = tmp_path / "dvd.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 72, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(32, 27)
        for number in range(50):
            frame = av.VideoFrame.from_image(Image.new("RGB", (72, 48), made.RED))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    write_segments(path, tmp_path / "b.mp4", [(0.4, 1.4)])
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.sample_aspect_ratio == Fraction(32, 27)
        assert (stream.width, stream.height) == (72, 48)
    assert probe(path).width == probe(tmp_path / "b.mp4").width == 85


def test_a_rate_that_changes_ends_where_the_picture_does(tmp_path):
    """A DVD of film and television: 24 frames a second, then 30."""
    times = [k * 1001 / 24000 for k in range(48)]
    times += [times[-1] + 1001 / 24000 + k * 1001 / 30000 for k in range(59)]
    path = made.write_video(tmp_path / "a.mkv", times=times)
    frames = sampled_frames(path, 2)
    sampled = [frame.sampled_at for frame in frames]
    # Matroska has thousandths of a second.
    np.testing.assert_allclose(sampled, np.arange(8) / 2, atol=0.0011)
    assert frames.n_frames == 107
    assert times[-1] < frames.duration == pytest.approx(4, abs=0.04)
