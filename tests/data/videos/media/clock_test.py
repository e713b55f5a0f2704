"""The time line of files whose own clock restarts, starts late, or is damaged."""

import pathlib
from fractions import Fraction

import av
import numpy as np
import pytest

from gpsattn_jax.data.videos.media import streams
from gpsattn_jax.data.videos.media.clock import Clock, read_clock
from gpsattn_jax.data.videos.media.sampling import probe, sampled_frames
from gpsattn_jax.data.videos.media.writing import write_segments
from tests.data.videos.media import made_videos as made
from tests.data.videos.media.writing_test import scene_heard, scene_of

FIRST = ((2.0, made.RED, 400), (2.0, made.GREEN, 900))
SECOND = ((2.0, made.BLUE, 1600), (2.0, made.WHITE, 3000))
CASES = pathlib.Path(__file__).resolve().parents[5] / "shared" / "cases" / "videos"


def join(path, parts, **options):
    """A .ts of recordings one after the other, as `cat` makes it."""
    files = [
        made.write_video(path.with_name(f"part{n}.ts"), scenes, sound=sound, **options)
        for n, (scenes, sound) in enumerate(parts)
    ]
    path.write_bytes(b"".join(file.read_bytes() for file in files))
    return path


@pytest.fixture
def joined(tmp_path):
    return join(tmp_path / "joined.ts", [(FIRST, True), (SECOND, True)])


def test_a_clock_that_restarts_is_one_time_line(joined):
    info = probe(joined)
    assert info.clock.restarts and info.duration == pytest.approx(8, abs=0.01)
    frames = sampled_frames(joined, 2.0)
    found = list(frames)
    assert frames.n_frames == 80 and frames.problem == ""
    for place, frame in enumerate(found):
        assert frame.time == pytest.approx(info.start + place / 2, abs=2e-3)
        expected = made.color_at(FIRST + SECOND, place / 2)
        assert np.abs(frame.image.mean((0, 1)) - expected).max() < 12


@pytest.mark.parametrize("part", [(1.0, 3.0), (3.0, 5.0), (5.0, 7.0)])
def test_sound_and_picture_of_each_side_stay_together(joined, tmp_path, part):
    written = write_segments(joined, tmp_path / "out.mp4", [part])
    assert written.segments[0] == pytest.approx(part, abs=0.06)
    sound = made.samples(tmp_path / "out.mp4")
    for time, color in made.pictures(tmp_path / "out.mp4"):
        at = part[0] + time
        if 0.1 < at % 2 < 1.9 and time > 0.1:
            assert scene_of(color) == at // 2
            assert scene_heard(sound, time + 0.02) == at // 2


def test_several_parts_come_from_both_sides(joined, tmp_path):
    parts = [(0.5, 1.5), (2.5, 3.5), (4.5, 5.5), (6.5, 7.5)]
    written = write_segments(joined, tmp_path / "out.mp4", parts)
    pictures = made.pictures(tmp_path / "out.mp4")
    assert [scene_of(color) for _, color in pictures] == list(np.repeat(range(4), 10))
    sound = made.samples(tmp_path / "out.mp4")
    heard = [scene_heard(sound, time) for time in (0.5, 1.5, 2.5, 3.5)]
    assert heard == [0, 1, 2, 3] and written.duration == pytest.approx(4, abs=0.01)


def test_three_parts_without_sound(tmp_path):
    parts = [(FIRST, False), (SECOND, False), (FIRST, False)]
    path = join(tmp_path / "joined.ts", parts)
    frames = sampled_frames(path, 1.0)
    colors = [scene_of(frame.image.mean((0, 1))) for frame in frames]
    assert colors == [0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1]


def test_restarts_that_do_not_match_are_refused_by_name(tmp_path):
    path = join(tmp_path / "joined.ts", [(FIRST, True), (SECOND, False)])
    with pytest.raises(
        ValueError, match="joined.ts: its clock restarts 1 times in the"
    ):
        probe(path)


def test_a_changed_file_is_read_anew(joined):
    assert read_clock(str(joined)).restarts
    joined.write_bytes(joined.with_name("part0.ts").read_bytes())
    assert not read_clock(str(joined)).restarts


def test_slides_are_no_restarts(tmp_path):
    """One picture for 20 s is no jump of the clock."""
    path = tmp_path / "slides.mkv"
    scenes = [(20.0, made.RED, 400), (20.0, made.BLUE, 900)]
    made.write_video(path, scenes, times=(0.0, 20.0))
    frames = sampled_frames(path, 0.2)
    assert [frame.index for frame in frames] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert not frames.info.clock.restarts


def test_the_shift_of_a_packet():
    clock = Clock(0.0, shifts={1: ((0, 0.0), (5, 2.5), (9, 4.0))})
    found = [clock.shift(1, packet) for packet in (0, 4, 5, 8, 9, 99)]
    assert found == [0, 0, 2.5, 2.5, 4, 4] and clock.shift(0, 7) == 0


# Where 0:00 is.


def test_a_picture_that_begins_after_the_sound(tmp_path):
    """0:00 is the sound's beginning, as a player has it."""
    path = shifted(tmp_path / "late.mkv", begin=0.0, later=1.5)
    info = probe(path)
    assert (info.start, info.end) == (pytest.approx(1.5, abs=2e-3), pytest.approx(5.5))
    frames = sampled_frames(path, 2.0)
    times = [frame.sampled_at for frame in frames]
    np.testing.assert_allclose(times, 1.5 + np.arange(8) / 2, atol=3e-3)
    written = write_segments(path, tmp_path / "out.mp4", [(0.0, 2.0), (4.0, 6.0)])
    np.testing.assert_allclose(written.segments, [(1.5, 2.0), (4.0, 5.5)], atol=2e-3)
    sound = made.samples(tmp_path / "out.mp4")
    pictures = made.pictures(tmp_path / "out.mp4")
    assert scene_of(pictures[0][1]) == 0 and scene_of(pictures[-1][1]) == 3
    # The tone of the sound's own second 1.6, and of 4.2, after its last scene.
    assert scene_heard(sound, 0.1) == 1 and scene_heard(sound, 1.0) == -1


def test_a_clock_that_starts_late_is_not_cut_off(tmp_path):
    path = shifted(tmp_path / "hour.mkv", begin=100.0)
    frames = sampled_frames(path, 2.0)
    assert len(list(frames)) == 8 and frames.problem == ""
    assert frames.info.duration == pytest.approx(4.0, abs=0.05)
    assert frames.info.start == pytest.approx(0, abs=1e-3)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames = sampled_frames(cut, 2.0)
    with pytest.warns(UserWarning, match="of 4.0 s can be decoded; .* cut off"):
        list(frames)


def shifted(path, begin, later=0.0):
    """The scenes from `begin` on, their picture `later` than their sound."""
    with av.open(str(path), "w") as output:
        picture = output.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        track = output.add_stream("pcm_s16le", rate=made.RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (made.tone(made.SCENES) * 32_000).astype(np.int16)[None], "s16", "mono"
        )
        frame.sample_rate, frame.time_base = made.RATE, Fraction(1, made.RATE)
        frame.pts = round(begin * made.RATE)
        output.mux(track.encode(frame))
        for place in range(40):
            pixels = np.full((48, 64, 3), made.color_at(made.SCENES, place / 10))
            frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), "rgb24")
            frame.time_base = Fraction(1, 10)
            frame.pts = place + round(10 * (begin + later))
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        output.mux(track.encode(None))
    return path


# Bounds.


def test_frames_ages_apart_are_refused_before_they_are_sampled(tmp_path):
    times = (0.0, 0.1, 400_000.0)
    scenes = [(400_001.0, made.RED, 400)]
    path = made.write_video(tmp_path / "gap.mkv", scenes, times=times)
    with pytest.raises(
        ValueError, match=r"gap.mkv: .* its times span 111.1 h; at most"
    ):
        sampled_frames(path)


def test_large_frames_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = made.write_video(tmp_path / "large.mp4", size=(640, 480))
    monkeypatch.setattr(streams, "MOST_PIXELS", 300_000)
    with pytest.raises(
        ValueError, match="300,000 pixels at most; got 640 x 480 = 307,2"
    ):
        probe(path)


# Inputs that are kept apart.


@pytest.fixture
def cases():
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is not there")
    return CASES


def source_frame(image):
    """The number that the bars at the bottom spell, the lowest bit at the left."""
    bars = image[-10, 10::20].mean(-1) > 128
    return int(np.dot(bars, 1 << np.arange(len(bars))))


def source_second(sound, second):
    """The second of the source whose tone is heard: 400 Hz and 50 more each second."""
    first = round(second * made.RATE)
    piece = sound[first : first + 9600]
    power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 2**18))
    hertz = power.argmax() * made.RATE / 2**18
    return (hertz - 400) / 50 - len(piece) / made.RATE / 2


@pytest.mark.parametrize(
    "name, parts",
    [
        ("discont.ts", [(5, 8), (14, 17), (30, 33)]),
        ("late.mkv", [(3, 6), (30, 32)]),
        ("videolate.mkv", [(5, 8), (30, 33)]),
        ("two_audio.mkv", [(5, 8), (30, 33)]),
    ],
)
def test_a_summary_shows_and_plays_what_its_times_say(cases, tmp_path, name, parts):
    written = write_segments(cases / name, tmp_path / "out.mp4", parts)
    sound, place = made.samples(tmp_path / "out.mp4"), 0.0
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
    for (start, end), part in zip(written.segments, parts, strict=True):
        assert (start, end) == pytest.approx(part, abs=0.05)
        frame = next(frame for frame in frames if frame.time > place + 0.49)
        image = frame.to_ndarray(format="rgb24")
        at = start + frame.time - place
        assert source_frame(image) / 25 == pytest.approx(at, abs=0.08)
        heard = source_second(sound, place + 0.5)
        assert heard == pytest.approx(start + 0.5, abs=0.15)
        place += end - start
