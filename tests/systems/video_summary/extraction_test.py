"""A folder of videos -> a file to train on; and from there to a summary."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest

from gpsattn_jax.data.videos.annotations import Stretch, read_annotations
from gpsattn_jax.data.videos.feature_files import read_videos, write_videos
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.video_summary import frame_features
from gpsattn_jax.systems.video_summary import scorers as video_scorers
from gpsattn_jax.systems.video_summary.extraction import extract_folder
from gpsattn_jax.systems.video_summary.run import Config, summarize_video
from tests.data.videos.media import made_videos as made
from tests.data.videos.media.clock_test import shifted
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[3]
COLORS = (made.RED, made.GREEN, made.BLUE, made.WHITE)
CSV = """video,user,start,end
film1.mp4,anna,0:00,0:02
film1,ben,2,3.5
film2.mp4,anna,4,6
"""
SCORED = """Video;User;Start;End;Score
film1;anna;0;2;5
film1;anna;2;4;3,0
film1;ben;2;4;3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three films of three scenes of 2 s, by 10 frames/s."""
    folder = tmp_path_factory.mktemp("films")
    for number in range(3):
        colors = [COLORS[(number + place) % 4] for place in range(3)]
        scenes = [(2.0, color, 400 + 300 * k) for k, color in enumerate(colors)]
        made.write_video(folder / f"film{number + 1}.mp4", scenes, sound=True)
    (folder / "notes.txt").write_text("no video")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


def extracted(folder, output, annotations=""):
    """(what became of it, videos, attributes)."""
    path = None
    if annotations:
        path = output.with_suffix(".json" if annotations[0] == "{" else ".csv")
        path.write_text(annotations)
    found = extract_folder(folder, output, "color_histogram", annotations=path)
    return found, *read_videos(output)


def test_the_file_has_features_picks_and_shots(folder, tmp_path):
    found, videos, attributes = extracted(folder, tmp_path / "out.h5")
    assert found.written == tuple(videos) == ("film1", "film2", "film3")
    assert not found.annotated and not found.broken
    assert attributes["extractor"] == "color_histogram" and attributes["rate"] == 2.0
    for video in videos.values():
        np.testing.assert_array_equal(video.picks, np.arange(0, 60, 5))
        np.testing.assert_array_equal(video.shots, [[0, 19], [20, 39], [40, 59]])
        assert video.features.shape == (12, 96) and video.num_frames == 60
        assert video.fps == 10 and video.target is None


def test_a_slow_video_has_each_frame_once(tmp_path):
    folder = tmp_path / "slow"
    folder.mkdir()
    scenes = [(12.0, made.RED, 400), (12.0, made.BLUE, 900)]
    made.write_video(folder / "slow.mp4", scenes, fps=0.5)
    _, videos, _ = extracted(folder, tmp_path / "out.h5")
    np.testing.assert_array_equal(videos["slow"].picks, np.arange(12))
    np.testing.assert_array_equal(videos["slow"].shots, [[0, 5], [6, 11]])


def test_kept_stretches_become_summaries_and_their_mean(folder, tmp_path):
    found, videos, _ = extracted(folder, tmp_path / "out.h5", CSV)
    assert found.annotated == ("film1", "film2")
    expected = np.zeros((2, 60))
    expected[0, :20], expected[1, 20:35] = 1, 1
    np.testing.assert_array_equal(videos["film1"].summaries, expected)
    np.testing.assert_allclose(videos["film1"].target, expected[:, ::5].mean(0))
    assert videos["film2"].summaries.shape == (1, 60)
    assert videos["film3"].target is None


def test_scores_become_annotations_targets_and_summaries(folder, tmp_path):
    _, videos, _ = extracted(folder, tmp_path / "out.h5", SCORED)
    video = videos["film1"]
    expected = np.repeat([[5, 3, 1], [1, 3, 1]], 20, axis=1)
    np.testing.assert_array_equal(video.annotations, expected)
    np.testing.assert_allclose(video.target, (expected[:, ::5].mean(0) - 1) / 4)
    assert video.summaries.shape == (2, 60) and set(video.summaries.flat) <= {0, 1}


def test_json_says_the_same_as_csv(tmp_path):
    rows = {"film1": {"anna": [[0, 2, 5], ["0:02", 4, 3]], "ben": [[2, 4, 3]]}}
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "a.csv").write_text(SCORED, encoding="utf-8-sig")
    found = read_annotations(tmp_path / "a.json")
    assert found == read_annotations(tmp_path / "a.csv")
    assert found["film1"]["ben"] == [Stretch(2, 4, 3)]


HEAD = "video,user,start,end,score\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,user,start\n", "must name the columns .* end is missing from"),
        (HEAD, "there is no annotation in it"),
        (HEAD + "film1,anna,x,2,", "line 2: film1: anna: start and end must be sec"),
        (HEAD + "film1,anna,-1,2,", "start and end must be seconds.*got '-1'"),
        (HEAD + "film1,anna,3,2,", "film1: anna: start must be before end; got 3 and"),
        (HEAD + "film1,anna,1,2,7", r"film1: anna: score must be in 1..5; got '7'"),
        (HEAD + "film1,,1,2,", "video and user must be named"),
        (HEAD + "film1,anna,1,2,3\nfilm1,ben,1,2,", "must have a score, or none; ben"),
        (HEAD + "film9,anna,1,2,", "film9 must be one of the videos: film1.mp4, fi"),
        (HEAD + "film1,anna,1,99,", "film1: anna: start and end must be within the 6"),
        ("{", "not a readable JSON file"),
        ('{"film1": [1]}', r"film1 must be \{user: .*; got \[1\]"),
        ('{"film1": {"anna": 1}}', r"film1: anna must be \[\[start, end\], …\]; got 1"),
        (
            '{"film1": {"anna": [[1]]}}',
            r"film1: anna: must be \[start, end\] or .*; got",
        ),
    ],
)
def test_wrong_annotations_are_named_before_any_work(
    folder, tmp_path, monkeypatch, text, message
):
    monkeypatch.setattr(frame_features, "_extract", None)  # would raise TypeError
    with pytest.raises(ValueError, match=message) as error:
        extracted(folder, tmp_path / "out.h5", text)
    assert str(tmp_path) in str(error.value)
    assert not (tmp_path / "out.h5").exists()


def test_a_broken_video_is_named_and_the_others_are_written(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    made.write_video(folder / "good.mp4")
    made.write_sound(folder / "sound.m4v")
    (folder / "empty.mp4").touch()
    code, _, err = run_script(
        "extract_features", f"--videos={folder}",
        f"--output={tmp_path / 'out.h5'}", "--extractor=color_histogram",
    )  # fmt: skip
    assert code == 1 and "Traceback" not in err
    assert "Left out, 2 in all:" in err
    assert "empty.mp4: not a" in err and "sound.m4v: not a" in err
    assert list(read_videos(tmp_path / "out.h5")[0]) == ["good"]


def test_folders_are_searched_to_the_bottom(tmp_path):
    """As those of clips are; hidden folders, pipes and links to folders are none."""
    folder = tmp_path / "films"
    for inside in ("a/deep", ".hidden"):
        (folder / inside).mkdir(parents=True)
    made.write_video(folder / "beach.mp4")
    made.write_video(folder / "a" / "deep" / "beach.mp4")
    made.write_video(folder / "a" / "hills.mp4")
    (folder / ".hidden" / "x.mp4").touch()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "a" / "up").symlink_to(folder)
    users = {"anna": [[0, 1]]}
    rows = {"a/deep/beach.mp4": users, "hills": users, "beach": users}
    found, videos, _ = extracted(folder, tmp_path / "out.h5", json.dumps(rows))
    assert set(videos) == {"beach", "a_hills", "a_deep_beach"} == {*found.annotated}
    assert videos["a_deep_beach"].title == os.path.join("a", "deep", "beach.mp4")


def test_a_name_that_means_two_videos_is_refused(tmp_path):
    folder = tmp_path / "films"
    for inside in ("a", "b"):
        (folder / inside).mkdir(parents=True)
        made.write_video(folder / inside / "beach.mp4")
    rows = {"beach": {"anna": [[0, 1]]}}
    with pytest.raises(
        ValueError, match="beach must be one of the videos: a.beach.mp4"
    ):
        extracted(folder, tmp_path / "out.h5", json.dumps(rows))
    (folder / "a_beach.mp4").touch()
    with pytest.raises(ValueError, match="a.beach.mp4 .* would both be a_beach"):
        extracted(folder, tmp_path / "out.h5")


def test_annotations_are_in_the_player_s_time(tmp_path):
    """The picture begins 1.5 s after the sound, and 0:00 is the sound's beginning."""
    folder = tmp_path / "films"
    folder.mkdir()
    shifted(folder / "late.mkv", begin=0.0, later=1.5)
    rows = {"late": {"anna": [[2.5, 4.0]], "ben": [[0, 2.0], [5.0, 5.5]]}}
    _, videos, _ = extracted(folder, tmp_path / "out.h5", json.dumps(rows))
    expected = np.zeros((2, 40))
    expected[0, 10:25], expected[1, :5], expected[1, 35:] = 1, 1, 1
    np.testing.assert_array_equal(videos["late"].summaries, expected)
    for wrong in ([0, 1], [5.6, 6]):
        with pytest.raises(ValueError, match="late: anna: start and end must be within"
                           " the video's picture, 1.5 to 5.5 s; got"):  # fmt: skip
            extracted(
                folder, tmp_path / "out.h5", json.dumps({"late": {"anna": [wrong]}})
            )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "must hold videos"),
        (("a.mp4", "a.mkv"), "a.mkv and a.mp4 would both be a"),
        (("a.mp4",), "must hold a readable video:\n.*a.mp4: not a readable video"),
    ],
)
def test_folders_without_a_video_to_read_are_told(tmp_path, names, message):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=message):
        extracted(tmp_path, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()


def test_a_file_appears_whole_or_not_at_all(folder, tmp_path):
    _, videos, _ = extracted(folder, tmp_path / "out.h5")
    before = (tmp_path / "out.h5").read_bytes()

    def stopping():
        yield videos["film1"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_videos(tmp_path / "out.h5", stopping(), {})
    with pytest.raises(TypeError):
        write_videos(tmp_path / "out.h5", videos.values(), {"extractor": object()})
    with pytest.raises(ValueError, match="different names without a slash"):
        write_videos(tmp_path / "out.h5", [videos["film1"]] * 2, {})
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]
    assert (tmp_path / "out.h5").read_bytes() == before


def test_the_whole_circle(folder, tmp_path):
    """Extract, annotate, train for a few steps, summarise with what was trained."""
    users = {f"film{n}": {"anna": [[0, 2]], "ben": [[1, 4]]} for n in (1, 2, 3)}
    extracted(folder, tmp_path / "films.h5", json.dumps(users))
    splits = [{"train_keys": ["film1", "film2"], "test_keys": ["film3"]}]
    (tmp_path / "splits.json").write_text(json.dumps(splits))
    setup = pglsum.SETUPS["summe"]
    config = dataclasses.replace(
        setup,
        model=dataclasses.replace(
            setup.model, input_size=96, num_heads=2, local_heads=2, num_segments=2
        ),
        data=dataclasses.replace(
            setup.data,
            file=str(tmp_path / "films.h5"),
            splits=str(tmp_path / "splits.json"),
            extractor="color_histogram",
            transform="none",
            validation_videos=1,
        ),
        train=dataclasses.replace(
            setup.train, num_steps=2, batch_size=1, evaluate_every=2
        ),
    )
    run = tmp_path / "run"
    pglsum.train(config, run)
    summary = summarize_video(
        folder / "film3.mp4",
        tmp_path / "summary.mp4",
        Config(checkpoint=str(run), ratio=0.5),
    )
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["scorer"] == f"PGL-SUM of {run}, step 2"
    assert found["checkpoint"] == str(run) and found["extractor"] == "color_histogram"
    _, videos, _ = extracted(folder, tmp_path / "films.h5")
    scores = pglsum.score_steps(pglsum.restore(run), [videos["film3"]])["film3"]
    np.testing.assert_allclose(summary.scores, scores, atol=1e-6)
    assert 0 < summary.length <= 3.0 + 0.1
    with pytest.raises(ValueError, match="extractor must be color_histogram, whose"):
        video_scorers.choose_scorer(str(run), "efficientnet_lite0")


def test_a_video_whose_name_is_no_text(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    made.write_video(folder / "a.mp4")
    os.rename(folder / "a.mp4", os.fsencode(folder) + b"/caf\xe9.mp4")
    _, videos, _ = extracted(folder, tmp_path / "out.h5")
    assert [video.title for video in videos.values()] == ["caf\\udce9.mp4"]
    assert list(videos) == ["caf\\udce9"]


def test_annotations_of_a_spreadsheet(tmp_path):
    """UTF-16 is read as UTF-8 is; of another encoding the way out is told."""
    path = tmp_path / "a.csv"
    path.write_bytes("video,user,start,end\r\nstrand,Jörg,1,2\r\n".encode("utf-16"))
    assert list(read_annotations(path)["strand"]) == ["Jörg"]
    path.write_bytes("video,user,start,end\r\nstrand,Jörg,1,2\r\n".encode("cp1252"))
    with pytest.raises(
        ValueError, match='must be UTF-8 .* got byte 0xf6 .* "CSV UTF-8"'
    ):
        read_annotations(path)
