"""Streams of joints: windows, lines that come in, and what is recognised in them."""

import io
import itertools
import json
import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest

from gpsattn_jax.data.skeletons import stream as skeleton_lines
from gpsattn_jax.data.skeletons.clip_set import ClipSet
from gpsattn_jax.systems import gpsnet
from gpsattn_jax.systems.gpsnet.stream import Config, print_stream, recognize
from gpsattn_jax.systems.gpsnet.windows import windows
from tests.systems.gpsnet import small as gpsnet_small

ROOT = pathlib.Path(__file__).parents[3]
LAYOUT = gpsnet_small.LAYOUT
V = LAYOUT.num_joints


@pytest.fixture(scope="module")
def workdir():
    return gpsnet_small.train_once()


@pytest.fixture(scope="module")
def trained_run(workdir):
    return gpsnet.restore(workdir)


def frames(seconds, fps=10.0, start=0.0, persons=1, seed=0):
    draw = np.random.default_rng(seed)
    count = round(seconds * fps)
    return [(start + n / fps, draw.normal(size=(persons, V, 2))) for n in range(count)]


def cut(sequence, window=2.0, every=0.5):
    """(end, first and last time, frames) of each window, rounded."""
    numbered = [(time, np.full((1, V, 2), time)) for time, _ in sequence]
    return [
        (round(end, 6), round(part[0].max(), 6), round(part[-1].max(), 6), len(part))
        for end, part in windows(numbered, window, every)
    ]


# Windows.


def test_windows_slide_and_hold_their_own_frames():
    assert cut(frames(3.0)) == [
        (2.0, 0.0, 1.9, 20),
        (2.5, 0.5, 2.4, 20),
        (3.0, 1.0, 2.9, 20),
    ]


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [(0.4, []), (0.5, [0.5]), (1.3, [1.3]), (2.0, [2.0]), (2.3, [2.0, 2.3])],
)
def test_what_is_left_at_the_end_is_a_window_too(seconds, ends):
    assert [end for end, *_ in cut(frames(seconds))] == ends


def test_windows_may_lie_apart():
    assert cut(frames(4.0), window=1.0, every=1.5) == [
        (1.0, 0.0, 0.9, 10),
        (2.5, 1.5, 2.4, 10),
        (4.0, 3.0, 3.9, 10),
    ]


def test_a_pause_makes_no_windows_and_costs_no_time():
    late = frames(2.0, start=1e9)
    found = cut(frames(2.0) + late)
    assert found[0] == (2.0, 0.0, 1.9, 20)
    assert all(end <= 3.5 or end > 1e9 for end, *_ in found)
    assert found[-1][2:] == (1e9 + 1.9, 20)
    assert len(found) < 12


def test_a_window_is_given_when_the_next_frame_comes_not_later():
    given = []

    def watched():
        for frame in frames(10.0):
            given.append(frame[0])
            yield frame

    next(windows(watched(), 2.0, 0.5))
    assert given[-1] == 2.0


def test_an_endless_stream_keeps_a_window_s_frames():
    endless = ((n / 10, np.zeros((1, V, 2))) for n in itertools.count())
    found = itertools.islice(windows(endless, 2.0, 0.5), 400)
    assert all(len(part) == 20 for _, part in found)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fps": 0}, "fps must be above 0; got 0"),
        ({"window": 0.05}, "window must hold at least 2 frames, 0.0666667 s at fps=30"),
        ({"every": -1.0}, "every must be above 0; got -1.0"),
        ({"smooth": 0}, "smooth must be at least 1; got 0"),
        ({"threshold": 1.5}, r"threshold must be in \[0, 1\]; got 1.5"),
    ],
)
def test_config_refuses(values, message):
    with pytest.raises(ValueError, match=message):
        Config(**values)


# Recognition.

SETTING = Config(fps=10.0, window=2.0, every=0.5)


def test_a_window_is_recognised_as_the_same_frames_in_a_clip(trained_run):
    sequence = frames(3.0)
    found = list(recognize(trained_run, sequence, SETTING))
    assert [one.time for one in found] == pytest.approx([2.0, 2.5, 3.0])
    part = np.stack([joints for _, joints in sequence[5:25]])
    clip = gpsnet_small.clips([part])
    shares = gpsnet.probabilities(trained_run, clip)[0]
    assert found[1].label == trained_run.class_names[shares.argmax()]
    assert found[1].confidence == pytest.approx(shares.max(), abs=1e-6)


def test_smoothing_is_the_mean_of_the_last_windows(trained_run):
    sequence = frames(3.0)
    parts = [
        np.stack([joints for _, joints in sequence[n : n + 20]]) for n in (0, 5, 10)
    ]
    clips = [gpsnet_small.clips([part]) for part in parts]
    shares = [gpsnet.probabilities(trained_run, clip)[0] for clip in clips]
    *_, last = recognize(
        trained_run, sequence, Config(fps=10.0, window=2.0, every=0.5, smooth=2)
    )
    assert last.confidence == pytest.approx(np.mean(shares[1:], 0).max(), abs=1e-6)


def test_nothing_is_named_below_the_threshold_or_where_nobody_is(trained_run):
    sure = Config(fps=10.0, threshold=1.0)
    found = list(recognize(trained_run, frames(2.0), sure))
    assert found[0].label is None and 0 < found[0].confidence < 1
    nobody = [(time, np.empty((0, V, 2))) for time, _ in frames(2.0)]
    found = list(recognize(trained_run, nobody, SETTING))
    assert [(one.label, one.confidence) for one in found] == [(None, 0.0)]


def test_all_windows_have_one_shape(trained_run, monkeypatch):
    shapes = set()
    batch = ClipSet.batch

    def watched(self, *arguments):
        found = batch(self, *arguments)
        shapes.add(found["inputs"]["joints"].shape)
        return found

    monkeypatch.setattr(ClipSet, "batch", watched)
    # The last is shorter; in the middle nobody is there for a while.
    sequence = frames(4.7)
    sequence[10] = (1.0, np.empty((0, V, 2)))
    assert len(list(recognize(trained_run, sequence, SETTING))) == 7
    assert shapes == {(1, 1, gpsnet_small.FRAMES, V, 2)}


def test_an_absent_second_person_changes_nothing(trained_run):
    alone = frames(2.0)
    joined = [(t, np.concatenate([j, np.full_like(j, np.nan)])) for t, j in alone]
    one, other = (next(recognize(trained_run, s, SETTING)) for s in (alone, joined))
    assert one.label == other.label
    assert one.confidence == pytest.approx(other.confidence, abs=1e-5)


# Lines.


def read(*lines, dimensions=2):
    lines = [one if isinstance(one, str | bytes) else json.dumps(one) for one in lines]
    return list(skeleton_lines.line_frames(lines, LAYOUT, dimensions, fps=10.0))


POINTS = [[n + 1.0, n + 2.0] for n in range(V)]


def test_lines_of_one_person_of_several_and_of_nobody():
    found = read(
        {"joints": POINTS, "id": 7},
        "  \n",
        {"joints": [POINTS, None, [None] * V]},
        {"joints": []},
        {"joints": None},
        {"joints": [[None] * V]},
        {"joints": [None] * V},
    )
    times, joints = zip(*found, strict=True)
    assert times == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [len(one) for one in joints] == [1, 3, 0, 0, 1, 1]
    np.testing.assert_array_equal(joints[0][0], POINTS)
    assert np.isnan(joints[1][1:]).all() and np.isnan(joints[4]).all()


def test_missing_joints_of_a_line_are_hidden():
    points = [None, [None, 2.0], [float("nan"), 1.0], *POINTS[3:]]
    ((_, joints),) = read({"joints": points})
    clip = skeleton_lines.window_clip("it", [joints], LAYOUT)
    np.testing.assert_array_equal(clip.mask[0, 0], np.arange(V) > 2)


def test_given_times_are_taken():
    found = read(*({"joints": POINTS, "time": t} for t in (5, 5.25, 9.5)))
    assert [time for time, _ in found] == [5.0, 5.25, 9.5]


def test_a_hidden_root_is_no_origin_but_a_root_at_zero_is():
    centred = np.array([POINTS])
    centred[0, LAYOUT.root] = 0
    clip = skeleton_lines.window_clip("it", [centred, centred], LAYOUT)
    assert clip.mask.all()
    hidden = centred.copy()
    hidden[0, LAYOUT.root] = np.nan
    clip = skeleton_lines.window_clip("it", [hidden, hidden], LAYOUT)
    assert not clip.mask[:, :, LAYOUT.root].any()
    clip = skeleton_lines.window_clip("it", [centred, np.array([POINTS])], LAYOUT)
    assert clip.mask[:, 0, LAYOUT.root].tolist() == [False, True]


GOOD = json.dumps({"joints": POINTS})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("wave", "line 2: must be {\"joints\": [[x, y], …]} as JSON; got 'wave'."),
        (b"\xff\xfe\x00", "line 2: must be"),
        ("[" * 100_000, "line 2: must be"),
        ("[1, 2]", "got '[1, 2]'."),
        ({"keypoints": 1}, "line 2: must be"),
        ({"joints": POINTS[1:]}, f"line 2: joints must be a list of {V} (layout chain"),
        ({"joints": [POINTS[1:], POINTS]}, f"got {V - 1} in [[2.0"),
        ({"joints": [[1, 2, 3]] * V}, "each 2 numbers or null"),
        ({"joints": [["a", 2]] * V}, "got 2 in ['a', 2]."),
        ({"joints": [[True, 2]] * V}, "got 2 in [True, 2]."),
        ({"joints": 3}, "got 3."),
        ({"joints": {"nose": 1}}, "got {'nose': 1}."),
        ({"joints": POINTS, "time": 1}, "line 2: time must be in all lines or in none"),
    ],
)
def test_a_bad_line_is_named(line, message):
    with pytest.raises(ValueError) as caught:
        read(GOOD, line)
    assert message in str(caught.value)


@pytest.mark.parametrize("time", ["now", True, 1.0, 0.5, float("nan")])
def test_times_must_rise(time):
    with pytest.raises(ValueError, match=r"line 2: time must be seconds after 1; got"):
        read({"joints": POINTS, "time": 1}, {"joints": POINTS, "time": time})


# What is printed.


def stream(*lines):
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return types.SimpleNamespace(buffer=io.BytesIO(text))


def test_a_file_and_standard_input_print_the_same(
    trained_run, tmp_path, capsys, monkeypatch
):
    joints = np.stack([one[0] for _, one in frames(2.3)]).astype(np.float32)
    np.save(tmp_path / "long.npy", joints)
    print_stream(trained_run, tmp_path / "long.npy", SETTING)
    from_file = capsys.readouterr()
    lines = ({"joints": frame.tolist()} for frame in joints)
    monkeypatch.setattr(sys, "stdin", stream(*lines))
    print_stream(trained_run, "-", SETTING)
    assert capsys.readouterr().out == from_file.out
    first, last = from_file.out.splitlines()
    assert first.startswith("     2.0 s  ") and first.endswith(" %")
    assert last.startswith("     2.3 s  ")
    assert from_file.err.startswith("2 windows; ") and "ms each" in from_file.err


def test_json_lines_and_a_sequence_too_short(trained_run, capsys, monkeypatch):
    lines = [{"joints": joints.tolist()} for _, joints in frames(2.0)]
    monkeypatch.setattr(sys, "stdin", stream(*lines))
    print_stream(trained_run, "-", SETTING, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["time"] == 2.0 and found["label"] in trained_run.class_names
    monkeypatch.setattr(sys, "stdin", stream(*lines[:3]))
    print_stream(trained_run, "-", SETTING, as_json=True)
    out, err = capsys.readouterr()
    assert out == "" and "No window: the sequence is shorter than 0.5 s." in err


def test_a_file_of_another_skeleton_is_refused(trained_run, tmp_path):
    np.save(tmp_path / "flat.npy", np.ones((30, V, 3)))
    with pytest.raises(ValueError, match=f"must have {V} joints .* of 2 coordinates"):
        print_stream(trained_run, tmp_path / "flat.npy", SETTING)


@pytest.mark.slow
def test_the_script_prints_each_window_while_the_stream_goes_on(workdir):
    command = [sys.executable, "experiments/recognize_stream.py", "--clip=-"]
    process = subprocess.Popen(
        [*command, f"--workdir={workdir}", "--fps=10", "--json"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    for _, joints in frames(2.1):
        process.stdin.write(json.dumps({"joints": joints.tolist()}) + "\n")
        process.stdin.flush()
    assert json.loads(process.stdout.readline())["time"] == 2.0
    process.stdin.write("and now?\n")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in err
    assert "Error: standard input, line 22: must be" in err
    process = subprocess.run(
        f"yes '{GOOD}' | {' '.join(command)} --workdir={workdir} --fps=10 | head -n 2",
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert len(process.stdout.splitlines()) == 2
    assert "Traceback" not in process.stderr
