"""Video files: sampled by time, upright, whole or damaged."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.videos.media.sampling import probe, sampled_frames
from tests.data.videos.media import made_videos as made

VARYING = (0.0, 0.1, 0.13, 0.9, 1.0, 2.5, 3.45)


def looks_like(image, color):
    return np.abs(image.mean((0, 1)) - color).max() < 12


@pytest.mark.parametrize("per_second", [2.0, 3.3])
@pytest.mark.parametrize("fps", ["1", "10", "15", "24000/1001", "30", "60"])
def test_frames_come_by_time_whatever_the_rate(tmp_path, fps, per_second):
    path = made.write_video(tmp_path / "in.mp4", fps=Fraction(fps))
    frames = sampled_frames(path, per_second)
    found = list(frames)
    fps = float(Fraction(fps))
    assert float(frames.info.frame_rate) == pytest.approx(fps, rel=1e-4)
    assert frames.n_frames == round(4 * fps) and frames.problem == ""
    assert frames.duration == pytest.approx(frames.n_frames / fps, abs=1e-3)
    assert abs(len(found) - frames.expected) <= 1
    assert len(found) == np.ceil(frames.duration * per_second - 1e-3)
    for place, frame in enumerate(found):
        assert frame.sampled_at == pytest.approx(place / per_second, abs=2e-3)
        assert frame.index == int(frame.sampled_at * fps + 0.03)
        assert frame.time == pytest.approx(frame.index / fps, abs=1e-3)
        assert frame.image.dtype == np.uint8 and frame.image.shape == (48, 64, 3)
        assert looks_like(frame.image, made.color_at(made.SCENES, frame.time))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_varying_rate_shows_what_is_shown(tmp_path, suffix):
    path = made.write_video(tmp_path / f"in.{suffix}", times=VARYING)
    frames = sampled_frames(path, per_second=4)
    found = list(frames)
    assert frames.n_frames == len(VARYING)
    assert frames.duration == pytest.approx(4, abs=0.1)
    asked = np.arange(len(found)) / 4
    assert len(found) == 16
    expected = np.searchsorted(VARYING, asked + 1e-3, side="right") - 1
    assert [frame.index for frame in found] == list(expected)
    for frame in found:
        assert frame.time == pytest.approx(VARYING[frame.index], abs=2e-3)
        assert looks_like(frame.image, made.color_at(made.SCENES, frame.time + 2e-3))
    assert found[4].image is found[5].image  # not copied


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm", "avi", "mov", "ts", "gif"])
def test_many_containers(tmp_path, suffix):
    encoder = {"webm": "libvpx", "avi": "mpeg4", "gif": "gif"}.get(suffix, "libx264")
    if encoder == "gif":
        path = tmp_path / "in.gif"
        colors = [Image.new("RGB", (64, 48), color) for color in (made.RED, made.BLUE)]
        colors[0].save(path, save_all=True, append_images=colors[1:], duration=600)
        indices = [0, 0, 1]
    else:
        path = made.write_video(tmp_path / f"in.{suffix}", encoder=encoder)
        indices = [0, 5, 10, 15, 20, 25, 30, 35]
    frames = sampled_frames(path)
    found = list(frames)
    assert [frame.index for frame in found] == indices
    assert looks_like(found[0].image, made.RED) and looks_like(found[2].image, (
        made.BLUE if encoder == "gif" else made.GREEN
    ))  # fmt: skip
    assert frames.expected == len(indices)


def test_one_frame_is_a_video(tmp_path):
    path = made.write_video(tmp_path / "in.mp4", [(0.1, made.RED, 400)])
    frames = sampled_frames(path)
    (frame,) = frames
    assert (frame.index, frame.time, frames.n_frames, frames.expected) == (0, 0, 1, 1)


def test_a_second_pass_gives_the_same(tmp_path):
    frames = sampled_frames(made.write_video(tmp_path / "in.mp4"))
    for one, two in zip(frames, frames, strict=True):
        assert one.index == two.index
        np.testing.assert_array_equal(one.image, two.image)


@pytest.mark.parametrize("rotation, row, column", [
    (0, 24, 4), (90, 60, 24), (180, 24, 60), (270, 4, 24),
])  # fmt: skip
def test_a_rotated_video_is_upright(tmp_path, rotation, row, column):
    """The left half is red; turned counterclockwise it is the lower one, and so on."""
    scenes = [(0.5, made.BLUE, 400)]
    path = tmp_path / "in.mp4"
    made.write_video(path, scenes, rotation=rotation, left=made.RED)
    info = probe(path)
    image = next(iter(sampled_frames(path))).image
    assert info.rotation == rotation
    assert image.shape[:2] == (info.height, info.width)
    assert image.shape[:2] == ((48, 64) if rotation in (0, 180) else (64, 48))
    assert np.abs(image[row, column] - np.array(made.RED, float)).max() < 12
    opposite = image[-1 - row, -1 - column]
    assert np.abs(opposite - np.array(made.BLUE, float)).max() < 12


@pytest.mark.parametrize(
    "side, shape", [(24, (24, 32)), (48, (48, 64)), (99, (48, 64))]
)
def test_frames_are_scaled_down_and_never_up(tmp_path, side, shape):
    path = made.write_video(tmp_path / "in.mp4")
    frame = next(iter(sampled_frames(path, shorter_side=side)))
    assert frame.image.shape == (*shape, 3)


@pytest.mark.parametrize("sound", [False, True])
def test_what_a_file_says_of_itself(tmp_path, sound):
    info = probe(made.write_video(tmp_path / "a:b é.mp4", sound=sound))
    assert (info.width, info.height, info.rotation) == (64, 48, 0)
    assert info.frame_rate == 10 and info.has_audio == sound
    assert info.duration == pytest.approx(4) and info.start == 0


def test_a_file_without_a_duration_is_looked_through(tmp_path):
    path = made.write_video(tmp_path / "in.mkv", options={"live": "1"})
    frames = sampled_frames(path)
    assert len(list(frames)) == frames.expected == 8


def _text(path):
    path.write_text("Not a video.\n" * 100)


def _cut_short(path):
    """An mp4 whose index stood at the end, and is lost."""
    made.write_video(path)
    path.write_bytes(path.read_bytes()[:-2000])


@pytest.mark.parametrize("name, make, why", [
    ("empty.mp4", lambda path: path.touch(), "empty"),
    ("text.mp4", _text, "no video"),
    ("text.txt", _text, "tty"),
    ("sound.m4a", made.write_sound, "only sound"),
    ("picture.png", lambda path: Image.new("RGB", (9, 9)).save(path), "png_pipe"),
    ("cut.mp4", _cut_short, "cut off"),
    ("bare.h264", made.write_video, "bear no times"),
])  # fmt: skip
def test_what_is_no_video_is_refused_by_name(tmp_path, name, make, why):
    make(tmp_path / name)
    for read in (probe, sampled_frames):
        with pytest.raises(ValueError, match=f"{name}: not a readable video: .*{why}"):
            read(tmp_path / name)


def test_missing_files_and_folders_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.mp4"):
        probe(tmp_path / "gone.mp4")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        probe(tmp_path / "folder")


def noisy(path, **options):
    """A video whose packets are of some size, to be damaged."""
    return made.write_video(path, 5 * made.SCENES, size=(160, 120), **options)


def test_what_is_left_of_a_video_that_was_cut_off(tmp_path):
    path = noisy(tmp_path / "in.mp4", options={"movflags": "+faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    frames = sampled_frames(path)
    with pytest.warns(UserWarning, match=r"in\.mp4: only .* of 20\.0 s"):
        found = list(frames)
    assert 4 <= len(found) < 36
    assert frames.n_frames < 180 and frames.duration < 18
    for frame in found[:-2]:
        assert looks_like(frame.image, made.color_at(5 * made.SCENES, frame.time))


def test_damage_in_the_middle_is_passed_over(tmp_path):
    path = noisy(tmp_path / "in.mp4", options={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    middle = len(data) * 3 // 5
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    frames = sampled_frames(path)
    with pytest.warns(UserWarning, match=r"in\.mp4: .* damaged"):
        found = list(frames)
    assert found[-1].sampled_at == 19.5
    assert looks_like(found[0].image, made.RED)
    assert looks_like(found[-1].image, made.WHITE)


@pytest.mark.parametrize("options, field", [
    ({"per_second": 0}, "per_second"),
    ({"per_second": float("nan")}, "per_second"),
    ({"shorter_side": 0}, "shorter_side"),
])  # fmt: skip
def test_senseless_wishes_are_refused(tmp_path, options, field):
    path = made.write_video(tmp_path / "in.mp4", [(0.1, made.RED, 400)])
    with pytest.raises(ValueError, match=f"{field} must be"):
        sampled_frames(path, **options)


def test_the_demonstration_video(data_dir):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = sampled_frames(data_dir / "video/demo_montage.mp4", shorter_side=90)
        found = list(frames)
    assert (frames.n_frames, len(found)) == (1846, frames.expected) == (1846, 247)
