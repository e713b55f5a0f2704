"""Joints line by line: times, confidences, and the pace of frames."""

import json

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.reading import Reading
from gpsattn_jax.data.skeletons.stream import check_pace, clip_frames, line_frames

COCO = LAYOUTS["coco17"]
POINTS = [[n + 20.0, n + 30.0] for n in range(17)]


def frames_of(*lines, reading=None):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return list(line_frames(texts, COCO, 2, fps=10.0, reading=reading))


@pytest.mark.parametrize("time", [10**400, -(10**400), 1e300, 1e11, float("inf")])
def test_times_out_of_all_reason_are_refused(time):
    with pytest.raises(ValueError, match=r"line 1: time must be seconds within 1e\+10"):
        frames_of({"joints": POINTS, "time": time})


def test_the_case_of_a_huge_time(data_dir):
    cases = data_dir.parent / "cases" / "attacks"
    for path in (cases / "time-huge-int.jsonl", cases / "jsonl-c70c8ad3.jsonl"):
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        with path.open("rb") as lines, pytest.raises(ValueError, match="lines, line "):
            list(line_frames(lines, COCO, 2, 10.0, "lines"))


def test_a_confidence_after_the_coordinates():
    points = [[*POINTS[0], 0.2], [*POINTS[1], 0.9], None, POINTS[3], *[None] * 13]
    ((_, joints),) = frames_of({"joints": points}, reading=Reading(channels="xyc"))
    assert joints.shape == (1, 17, 2)
    there = np.isfinite(joints[0]).all(-1)
    assert np.flatnonzero(there).tolist() == [1, 3]
    sure = Reading(channels="xyc", least_confidence=0.95)
    ((_, joints),) = frames_of({"joints": points}, reading=sure)
    assert np.flatnonzero(np.isfinite(joints[0]).all(-1)).tolist() == [3]
    with pytest.raises(ValueError, match="each 2 numbers or null"):
        frames_of({"joints": points}, reading=Reading(channels="xy"))


def steps(*lengths):
    times = np.cumsum([0.0, *lengths])
    return [(float(time), np.zeros((1, 17, 2))) for time in times]


@pytest.mark.parametrize("count", [2, 9, 30])
def test_milliseconds_are_no_seconds(count):
    frames = steps(*[33.0] * count)
    with pytest.raises(ValueError, match="it: time must be seconds; frames come 33 s"):
        list(check_pace(frames, 2.0, "it"))


@pytest.mark.parametrize("lengths", [[0.03] * 30, [33.0] * 5 + [0.03], [33.0], []])
def test_frames_of_a_fair_pace_pass(lengths):
    assert len(list(check_pace(steps(*lengths), 2.0, "it"))) == len(lengths) + 1


def test_an_endless_stream_of_milliseconds_ends_at_once():
    def endless():
        for n in range(1_000_000):
            assert n < 12
            yield 33.0 * n, np.zeros((1, 17, 2))

    with pytest.raises(ValueError, match="Are they milliseconds"):
        list(check_pace(endless(), 2.0, "it"))


def test_a_clip_of_another_order_is_streamed(tmp_path):
    clip = np.random.default_rng(0).uniform(20, 480, (6, 1, 17, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", clip.transpose(3, 0, 2, 1))
    found = list(clip_frames(tmp_path / "a.npy", COCO, 10.0, Reading(axes="ctvm")))
    np.testing.assert_array_equal(np.stack([joints for _, joints in found]), clip)
