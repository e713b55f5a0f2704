"""Which sound track of several is taken."""

from fractions import Fraction

import av
import numpy as np
import pytest

from gpsattn_jax.data.videos.media.sound import find_sound
from gpsattn_jax.data.videos.media.writing import write_segments
from tests.data.videos.media import made_videos as made
from tests.data.videos.media.writing_test import scene_heard

DEFAULT = av.stream.Disposition.default
NONE = av.stream.Disposition(0)


def write_tracks(path, tracks):
    """A black second with sound tracks: (place of the tone, language, disposition)."""
    with av.open(str(path), "w") as output:
        picture = output.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        streams = []
        for _, language, disposition in tracks:
            stream = output.add_stream("pcm_s16le", rate=made.RATE, layout="mono")
            stream.disposition = disposition
            if language:
                stream.metadata["language"] = language
            streams.append(stream)
        for place in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
        for stream, (tone, *_) in zip(streams, tracks, strict=True):
            wave = made.tone([(1.0, None, made.SCENES[tone][2])])
            frame = av.AudioFrame.from_ndarray(
                (wave * 32_000).astype(np.int16)[None], "s16", "mono"
            )
            frame.sample_rate, frame.pts = made.RATE, 0
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return path


THREE = [(0, "eng", NONE), (1, "ger", DEFAULT), (2, "eng", NONE)]


@pytest.mark.parametrize(
    "audio, heard, words",
    [
        ("default", 1, "track 1 of 0..2, ger, default"),
        ("0", 0, "track 0 of 0..2, eng"),
        ("2", 2, "track 2 of 0..2, eng"),
        ("eng", 0, "track 0 of 0..2, eng"),
        ("GER", 1, "track 1 of 0..2, ger, default"),
    ],
)
def test_the_track_that_is_asked_for_is_written_and_named(
    tmp_path, audio, heard, words
):
    source = write_tracks(tmp_path / "in.mkv", THREE)
    video = write_segments(source, tmp_path / "out.mp4", [(0, 1)], audio=audio)
    assert video.audio == words and video.has_audio
    assert find_sound(str(source), audio) == words
    sound = made.samples(tmp_path / "out.mp4")
    assert {scene_heard(sound, time) for time in (0.2, 0.5, 0.8)} == {heard}


def test_no_sound_if_none_is_asked_for(tmp_path):
    source = write_tracks(tmp_path / "in.mkv", THREE)
    video = write_segments(source, tmp_path / "out.mp4", [(0, 1)], audio="none")
    assert video.audio == "" and not video.has_audio
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_without_a_flag_the_first_track_is_taken(tmp_path):
    tracks = [(2, "", NONE), (1, "", NONE)]
    source = write_tracks(tmp_path / "in.mkv", tracks)
    video = write_segments(source, tmp_path / "out.mp4", [(0, 1)])
    assert video.audio == "track 0 of 0..1"
    assert scene_heard(made.samples(tmp_path / "out.mp4"), 0.5) == 2


@pytest.mark.parametrize("audio", ["3", "fre", "-1", ""])
def test_a_track_that_is_not_there_is_refused_with_those_that_are(tmp_path, audio):
    source = write_tracks(tmp_path / "in.mkv", THREE)
    message = r"in.mkv: audio must be .* \(track 0 of 0..2, eng; track 1 of .*; got '"
    with pytest.raises(ValueError, match=message):
        write_segments(source, tmp_path / "out.mp4", [(0, 1)], audio=audio)
    assert not (tmp_path / "out.mp4").exists()


def test_a_silent_video_has_no_track_to_choose(tmp_path):
    source = made.write_video(tmp_path / "in.mp4")
    assert find_sound(str(source), "default") == find_sound(str(source), "none") == ""
    with pytest.raises(ValueError, match=r"it has none\); got '0'"):
        find_sound(str(source), "0")
