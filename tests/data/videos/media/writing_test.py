"""Parts of videos, written: picture and sound together, whole or not at all."""

from fractions import Fraction

import av
import numpy as np
import pytest

from gpsattn_jax.data.videos.media import picture as video_picture
from gpsattn_jax.data.videos.media.sampling import probe
from gpsattn_jax.data.videos.media.writing import write_segments
from tests.data.videos.media import made_videos as made

# Scenes change at 1, 2.5 and 3.5, so the summary's at 0.6, at the cut and at 1.8.
PARTS = [(0.4, 1.4), (2.7, 3.7)]
WINDOW = 0.02  # seconds; tones are distinct in so much sound


def source_time(parts, time):
    """Where in the source the summary's `time` lies."""
    for start, end in parts:
        if time < end - start:
            return start + time
        time -= end - start
    return None


def scene_of(color):
    """Place of the scene with that colour."""
    return int(np.argmin([np.abs(color - scene[1]).max() for scene in made.SCENES]))


def scene_heard(sound, time):
    """Place of the scene whose tone is the loudest around `time`; -1 in silence."""
    first = round((time - WINDOW / 2) * made.RATE)
    piece = sound[max(0, first) : first + round(WINDOW * made.RATE)]
    clock = np.arange(len(piece)) / made.RATE
    tones = [np.exp(2j * np.pi * hertz * clock) for _, _, hertz in made.SCENES]
    power = [abs(np.dot(piece, tone)) / len(piece) for tone in tones]
    return int(np.argmax(power)) if max(power) > 0.1 else -1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("fps", ["10", "25", "30000/1001"])
def test_picture_and_sound_change_together(tmp_path, fps, suffix):
    fps = Fraction(fps)
    source = made.write_video(tmp_path / f"in.{suffix}", fps=fps, sound=True)
    written = write_segments(source, tmp_path / "out.mp4", PARTS)
    pictures, sound = (
        made.pictures(tmp_path / "out.mp4"),
        made.samples(tmp_path / "out.mp4"),
    )
    assert written.has_audio and written.n_frames == len(pictures)
    assert len(pictures) == pytest.approx(2 * fps, abs=1.5)
    assert written.duration == pytest.approx(2, abs=1.5 / fps)
    assert len(sound) / made.RATE == pytest.approx(written.duration, abs=0.03)
    begin = probe(source).start  # in .ts the sound's first packet is 0:00
    for time, color in pictures:
        expected = made.color_at(
            made.SCENES, source_time(written.segments, time + 2e-3) - begin
        )
        assert made.SCENES[scene_of(color)][1] == expected
    # The sound's changes are found without the picture; in the source they lie up to
    # a frame before the picture's.
    frame = float(1 / fps)
    clock = np.arange(WINDOW, written.duration - WINDOW, 0.002)
    heard = np.array([scene_heard(sound, time) for time in clock])
    changes = clock[1:][heard[1:] != heard[:-1]]
    visible = [
        time
        for (time, new), (_, old) in zip(pictures[1:], pictures, strict=False)
        if scene_of(new) != scene_of(old)
    ]
    assert len(visible) == len(changes) == 3
    np.testing.assert_allclose(changes, visible, atol=frame)
    (first, last), (second, _) = written.segments
    exact = [1.0 - first + begin, last - first, 3.5 - second + begin + last - first]
    np.testing.assert_allclose(changes, exact, atol=0.005)


@pytest.mark.parametrize("fps", ["10", "24000/1001", "30", "60"])
def test_the_number_of_frames_and_the_rate_are_right(tmp_path, fps):
    fps = Fraction(fps)
    source = made.write_video(tmp_path / "in.mp4", fps=fps)
    cuts = np.array([5, 12, 20, 33]) / float(fps)
    parts = [tuple(cuts[:2]), tuple(cuts[2:])]
    written = write_segments(source, tmp_path / "out.mp4", parts)
    info, pictures = probe(tmp_path / "out.mp4"), made.pictures(tmp_path / "out.mp4")
    assert written.n_frames == len(pictures) == 20
    assert written.duration == pytest.approx(20 / fps, abs=1e-3)
    assert info.duration == pytest.approx(written.duration, abs=2e-3)
    assert float(info.frame_rate) == pytest.approx(float(fps), rel=1e-3)
    assert not written.has_audio and not info.has_audio
    np.testing.assert_allclose(
        [time for time, _ in pictures], np.arange(20) / float(fps), atol=1e-4
    )
    np.testing.assert_allclose(np.ravel(written.segments), cuts, atol=1e-3)


@pytest.mark.parametrize("part, cut", [
    ((0.52, 0.98), (0.5, 1.0)),
    ((0.56, 1.04), (0.6, 1.0)),
    ((0.55, 1.05), (0.5, 1.0)),  # ties: the earlier
    ((2.48, 2.5), (2.5, 2.6)),  # never less than a frame
    ((2.46, 2.54), (2.5, 2.54)),
])  # fmt: skip
def test_a_cut_moves_to_the_nearest_frame(tmp_path, part, cut):
    source = made.write_video(tmp_path / "in.mkv", fps=10)
    written = write_segments(source, tmp_path / "out.mp4", [part])
    assert written.segments[0] == pytest.approx(cut, abs=2e-3)
    assert written.n_frames == max(1, round(10 * (cut[1] - cut[0])))


def test_segments_that_touch_are_one(tmp_path):
    source = made.write_video(tmp_path / "in.mp4", fps=10)
    parts = [(0.5, 1.02), (1.02, 1.5), (2.0, 3.0)]
    written = write_segments(source, tmp_path / "out.mp4", parts)
    np.testing.assert_allclose(written.segments, [(0.5, 1.5), (2, 3)], atol=1e-3)


def test_a_varying_rate_keeps_its_times(tmp_path):
    times = (0.0, 0.1, 0.13, 0.9, 1.0, 2.5, 3.0)
    source = made.write_video(tmp_path / "in.mp4", times=times, sound=True)
    written = write_segments(source, tmp_path / "out.mp4", [(0.13, 1.0), (1.6, 4.0)])
    pictures = made.pictures(tmp_path / "out.mp4")
    # The frame shown from 1.0 to 2.5 is cut: it begins the second part at 1.6.
    expected = np.array([0.13, 0.9, 1.0, 1.9, 2.4]) - 0.13
    np.testing.assert_allclose([time for time, _ in pictures], expected, atol=2e-3)
    assert scene_of(pictures[2][1]) == 1
    assert written.duration == pytest.approx(0.87 + 2.4, abs=2e-3)
    assert probe(tmp_path / "out.mp4").duration == pytest.approx(3.27, abs=5e-3)
    sound = made.samples(tmp_path / "out.mp4")
    for time, scene in ((0.5, 0), (0.92, 1), (1.7, 1), (1.84, 2), (2.72, 2), (2.82, 3)):
        assert scene_heard(sound, time) == scene, time


@pytest.mark.parametrize("options, silent", [
    ({"sound_until": 1.2}, (1.2, 4.0)),  # shorter than the picture
    ({"sound_from": 2.9}, (0.0, 2.9)),  # begins later
])  # fmt: skip
def test_where_the_source_has_no_sound_there_is_silence(tmp_path, options, silent):
    source = made.write_video(tmp_path / "in.mkv", fps=25, sound=True, **options)
    written = write_segments(source, tmp_path / "out.mp4", PARTS)
    sound = made.samples(tmp_path / "out.mp4")
    assert len(sound) / made.RATE == pytest.approx(written.duration, abs=0.03)
    for time in np.arange(0.05, 1.95, 0.05):
        at = source_time(PARTS, time)
        if min(abs(at - change) for change in (1.0, 1.2, 1.4, 2.7, 2.9, 3.5)) < 0.045:
            continue
        quiet = silent[0] < at < silent[1]
        expected = scene_of(np.array(made.color_at(made.SCENES, at)))
        assert scene_heard(sound, time) == (-1 if quiet else expected), time


@pytest.mark.parametrize("suffix, encoder", [
    ("webm", "libvpx"), ("avi", "mpeg4"), ("mov", "libx264"), ("mpg", "mpeg2video"),
])  # fmt: skip
def test_many_containers(tmp_path, suffix, encoder):
    source = made.write_video(tmp_path / f"in.{suffix}", fps=25, encoder=encoder)
    parts = [(0.2, 0.6), (1.4, 1.8), (3.6, 4.0)]
    written = write_segments(source, tmp_path / "out.mp4", parts)
    pictures = made.pictures(tmp_path / "out.mp4")
    assert [scene_of(color) for _, color in pictures] == [0] * 10 + [1] * 10 + [3] * 10
    assert written.duration == pytest.approx(1.2, abs=2e-3)


def test_a_rate_of_sound_that_aac_lacks_is_changed(tmp_path):
    """The first of two tracks; the second has another tone."""
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as output:
        picture = output.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        layouts = ("stereo", "mono")
        tracks = [
            output.add_stream("pcm_s16le", rate=10_000, layout=layout)
            for layout in layouts
        ]
        for place in range(50):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        for track, layout, hertz in zip(tracks, layouts, (900, 400), strict=True):
            wave = 16_000 * np.sin(2 * np.pi * hertz * np.arange(20_000) / 10_000)
            wave = np.repeat(wave, 2 if layout == "stereo" else 1)
            frame = av.AudioFrame.from_ndarray(
                wave.astype(np.int16)[None], "s16", layout
            )
            frame.sample_rate, frame.pts = 10_000, 0
            output.mux(track.encode(frame))
            output.mux(track.encode(None))
    write_segments(source, tmp_path / "out.mp4", [(0.5, 1.5)])
    with av.open(str(tmp_path / "out.mp4")) as container:
        (stream,) = container.streams.audio
        assert (stream.rate, stream.layout.name) == (48_000, "stereo")
    sound = made.samples(tmp_path / "out.mp4")
    assert len(sound) == pytest.approx(48_000, abs=1100)
    for time in np.arange(0.02, 0.97, 0.05):
        assert scene_heard(sound, time) == 1


def test_damage_in_the_middle_moves_nothing(tmp_path):
    source = tmp_path / "in.mp4"
    made.write_video(
        source, size=(160, 120), sound=True, options={"movflags": "+faststart"}
    )
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    source.write_bytes(data)
    written = write_segments(source, tmp_path / "out.mp4", [(0.5, 4)])
    pictures, sound = (
        made.pictures(tmp_path / "out.mp4"),
        made.samples(tmp_path / "out.mp4"),
    )
    assert written.duration == pytest.approx(3.5, abs=0.01)
    assert 20 < written.n_frames == len(pictures) <= 35
    assert pictures[-1][0] == pytest.approx(3.4, abs=0.01)
    assert scene_of(pictures[-1][1]) == 3 and scene_heard(sound, 3.4) == 3
    assert scene_of(pictures[0][1]) == 0 and scene_heard(sound, 0.1) == 0


def test_the_whole_of_a_video(tmp_path):
    source = made.write_video(tmp_path / "in.mp4", sound=True)
    written = write_segments(source, tmp_path / "out.mp4", [(0, 99)])
    assert written.n_frames == 40 and written.segments == ((0, 4),)
    one, two = made.samples(source), made.samples(tmp_path / "out.mp4")
    count = min(len(one), len(two))
    assert np.corrcoef(one[:count], two[:count])[0, 1] > 0.99


@pytest.mark.parametrize("rotation, size", [
    (0, (64, 48)), (90, (48, 64)), (180, (64, 48)), (270, (48, 64)),
])  # fmt: skip
def test_a_rotated_video_stays_upright(tmp_path, rotation, size):
    source = tmp_path / "in.mp4"
    scenes = [(0.5, made.BLUE, 400)]
    made.write_video(source, scenes, rotation=rotation, left=made.RED)
    write_segments(source, tmp_path / "out.mp4", [(0, 0.5)])
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height) == size and info.rotation == 0
    with av.open(str(tmp_path / "out.mp4")) as container:
        image = next(container.decode(video=0)).to_ndarray(format="rgb24")
    turned = np.rot90(image, -rotation // 90)  # back to where red was left
    assert np.abs(turned[24, 8] - np.array(made.RED, float)).max() < 15
    assert np.abs(turned[24, 56] - np.array(made.BLUE, float)).max() < 15


def test_odd_sides_become_even(tmp_path):
    source = made.write_video(tmp_path / "in.avi", size=(65, 49), encoder="mpeg4")
    write_segments(source, tmp_path / "out.mp4", [(0, 1)])
    info = probe(tmp_path / "out.mp4")
    assert (info.width, info.height) == (64, 48)


def test_the_file_is_h264_and_starts_at_once(tmp_path):
    source = made.write_video(tmp_path / "in.mp4", sound=True)
    written = write_segments(source, tmp_path / "out.mp4", [(0, 1)])
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        names = [stream.codec_context.name for stream in container.streams]
        assert container.streams.video[0].pix_fmt == "yuv420p"
    assert names == ["h264", "aac"] and written.encoder == "libx264"


def test_without_an_h264_encoder_it_is_mpeg4(tmp_path, monkeypatch):
    monkeypatch.setattr(video_picture, "ENCODERS", ("no_such_encoder", "mpeg4"))
    source = made.write_video(tmp_path / "in.mp4", sound=True)
    written = write_segments(source, tmp_path / "out.mp4", PARTS)
    assert written.encoder == "mpeg4" and written.n_frames == 20
    assert len(made.pictures(tmp_path / "out.mp4")) == 20
    monkeypatch.setattr(video_picture, "ENCODERS", ("no_such_encoder",))
    with pytest.raises(OSError, match="other.mp4 cannot be written: .*no_such_encoder"):
        write_segments(source, tmp_path / "other.mp4", PARTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("segments, why", [
    ([], "one .* at least"),
    ([(-1, 2)], "0 <= start"),
    ([(2, 2)], "start < end"),
    ([(2, float("nan"))], "start < end"),
    ([(0, 2), (1, 3)], "after one that ends at 2"),
    ([(0, 1), (8, 9)], r"in.mp4, which lasts from 0.00 to 4.00 s; \(8, 9\) holds none"),
])  # fmt: skip
def test_senseless_segments_are_refused(tmp_path, segments, why):
    source = made.write_video(tmp_path / "in.mp4")
    with pytest.raises(ValueError, match=why):
        write_segments(source, tmp_path / "out.mp4", segments)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("output", ["in.mp4/out.mp4", "folder"])
def test_an_output_that_cannot_be_written_is_named(tmp_path, output):
    source = made.write_video(tmp_path / "in.mp4", [(0.5, made.RED, 400)])
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=f"{output} cannot be written"):
        write_segments(source, tmp_path / output, [(0, 1)])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["folder", "in.mp4"]


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path):
    resource = pytest.importorskip("resource")
    source = made.write_video(tmp_path / "in.mp4", sound=True)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, old[1]))
    try:
        with pytest.raises(OSError, match="out.mp4 cannot be written: "):
            write_segments(source, tmp_path / "out.mp4", [(0, 4)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_the_source_is_never_the_output(tmp_path):
    source = made.write_video(tmp_path / "in.mp4", [(0.5, made.RED, 400)])
    data = source.read_bytes()
    (tmp_path / "link.mp4").symlink_to(source)
    for output in (source, tmp_path / "link.mp4"):
        with pytest.raises(ValueError, match="output must not be the source"):
            write_segments(source, output, [(0, 1)])
    assert source.read_bytes() == data


def test_what_is_broken_off_leaves_the_old_file(tmp_path):
    source = made.write_video(tmp_path / "in.mp4", sound=True)
    (tmp_path / "out.mp4").write_text("old")
    calls = []

    def break_off(done, total):
        calls.append((done, total))
        if done > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_segments(source, tmp_path / "out.mp4", PARTS, progress=break_off)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_text() == "old"
    dones = [done for done, _ in calls]
    assert dones == sorted(dones) and calls[0][1] == pytest.approx(2)
