"""The comparison of video scorers: its splits, its training, its tables; no leaks."""

import dataclasses
import json
import re

import numpy as np
import pytest

pytest.importorskip("h5py", reason="needs h5py (extra: data)")
pytest.importorskip("sklearn", reason="needs scikit-learn (extra: video)")

from benchmarks.summaries import scorers, session, table
from benchmarks.summaries.networks import Trainer
from benchmarks.summaries.splits import FOLDS, REPEATS, Split, folds, random_splits
from gpsattn_jax.data.videos.feature_files import write_videos
from gpsattn_jax.models import pglsum as models
from gpsattn_jax.systems import pglsum
from gpsattn_jax.systems.pglsum.setups import DataConfig
from gpsattn_jax.training import TrainConfig
from tests.data.videos.annotated_videos import annotated, write_splits

NAMES = [f"video_{number}" for number in range(10)]
VIDEOS = [annotated(n, steps=5 + n, shots=2 * (5 + n)) for n in range(10)]
CONFIG = pglsum.Config(
    model=models.Config(
        input_size=16, num_heads=2, local_heads=2, num_segments=2, dropout=0.0
    ),
    data=DataConfig(file="videos.h5", splits="splits.json", extractor="test"),
    train=TrainConfig(
        num_steps=8, batch_size=8, evaluate_every=8, warmup_steps=0,
        optimizer="adam", learning_rate=1e-2, schedule="constant", weight_decay=1e-5,
        best_metric="tau", clip_norm=5.0, seed=3,
    ),
    protocol="paper",
)  # fmt: skip


@pytest.fixture
def task():
    return scorers.Task(CONFIG, {video.name: video for video in VIDEOS})


QUICK = ["random", "position"]


def names_of(videos):
    return tuple(video.name for video in videos)


# Splits.


def test_every_video_is_tested_once_a_repeat():
    found = random_splits(NAMES)
    assert len(found) == REPEATS * FOLDS == 20
    assert [split.name for split in found] == [f"random-{n}" for n in range(20)]
    for repeat in range(REPEATS):
        own = found[FOLDS * repeat :][:FOLDS]
        assert sorted(name for split in own for name in split.test) == sorted(NAMES)
        for split in own:
            assert sorted(split.train + split.test) == sorted(NAMES)
    assert len({split.test for split in found}) > FOLDS
    assert found == random_splits(NAMES)


def test_folds_are_disjoint_and_whole():
    found = list(folds(NAMES, 3, seed=1))
    assert sorted(name for _, held in found for name in held) == sorted(NAMES)
    for others, held in found:
        assert not set(others) & set(held) and len(others) + len(held) == 10


# Scorers.


def test_the_trainer_is_the_systems_own_training(tmp_path):
    """The same weights and steps as `pglsum.train` has, but for rounding."""
    write_videos(tmp_path / "videos.h5", VIDEOS, {"extractor": "test"})
    write_splits(tmp_path / "splits.json", [(list(range(8)), [8, 9])])
    pglsum.train(CONFIG, tmp_path / "run", data_dir=tmp_path)
    expected = pglsum.score_steps(pglsum.restore(tmp_path / "run"), VIDEOS)
    trainer = Trainer(CONFIG, VIDEOS)
    assert trainer.steps == (2, 4, 8)
    found = trainer.scores(names_of(VIDEOS[:8]), seed=CONFIG.train.seed)
    for name, scores in expected.items():
        assert [len(by_name[name]) for by_name in found] == [len(scores)] * 3
        np.testing.assert_allclose(found[-1][name], scores, atol=1e-5)
        assert np.abs(found[0][name] - scores).max() > 1e-3
    again = trainer.scores(names_of(VIDEOS[:8]), CONFIG.train.seed, trainer.steps[:1])
    np.testing.assert_array_equal(again[0]["video_9"], found[0]["video_9"])


def with_other_opinions(video):
    """The same video, of which people think the opposite."""
    changes = {"target": 1 - video.target}
    if video.summaries is not None:
        changes["summaries"] = 1 - video.summaries
    if video.annotations is not None:
        changes["annotations"] = -video.annotations
    return dataclasses.replace(video, **changes)


@pytest.mark.parametrize("name", [n for n in scorers.SCORERS if n != "people"])
def test_opinions_of_test_videos_choose_nothing(name, task, monkeypatch):
    """Scores and choice stay the same; with other training videos they do not."""
    split = Split("random-0", names_of(VIDEOS[:8]), names_of(VIDEOS[8:]))

    def scored(changed):
        videos = {
            v.name: with_other_opinions(v) if v.name in changed else v for v in VIDEOS
        }
        own, scores = dataclasses.replace(task, videos=videos), {}

        def keep(self, video, found):
            scores.setdefault(video, []).append(found)
            return {"tau": 0.0}

        monkeypatch.setattr(scorers.Task, "metrics", keep)
        return scorers.SCORERS[name](own, split).get("chosen"), scores

    before, after = scored(()), scored(split.test)
    assert before[0] == after[0]
    for video in split.test:
        np.testing.assert_array_equal(before[1][video], after[1][video])
    if name in ("position", "regression", "pglsum"):
        other = scored(split.train)[1]
        assert np.abs(np.subtract(other["video_8"], before[1]["video_8"])).max() > 1e-4


def test_rho_is_that_of_the_metrics(task):
    draw = np.random.default_rng(0)
    scores = {video.name: draw.random(len(video)) for video in VIDEOS}
    expected = np.mean([task.metrics(n, s)["rho"] for n, s in scores.items()])
    np.testing.assert_allclose(task.mean_rho(scores), expected)


# The session.


@pytest.fixture
def made_session(tmp_path, monkeypatch):
    """A session on made-up videos with scorers that are quick, and count."""
    write_videos(tmp_path / "videos.h5", VIDEOS, {"extractor": "test"})
    orders = [np.roll(np.arange(10), shift).tolist() for shift in range(5)]
    write_splits(tmp_path / "splits.json", [(o[:8], o[8:]) for o in orders])
    monkeypatch.setattr(session, "SETUPS", dict.fromkeys(session.SETS.values(), CONFIG))
    calls = []

    def quick(task, split):
        calls.append(split.name)
        return {"videos": {n: {"tau": 0.1, "rho": 0.2, "f_score": 3.0}
                           for n in split.test}}  # fmt: skip

    few = dict.fromkeys(QUICK, quick)
    monkeypatch.setattr(session, "SCORERS", few)
    monkeypatch.setattr(table, "SCORERS", few)
    monkeypatch.setattr(table, "PAIRS", [("position", "random")])

    def make():
        return session.Session(tmp_path / "out" / "s.json", tmp_path)

    return make, calls


def test_it_goes_on_where_it_stopped(made_session):
    make, calls = made_session
    first = make()
    assert first.run(-1, QUICK) == 2 * 25 * 2 and not calls
    waiting = first.waiting()
    assert [w[0] for w in waiting[:20]] == ["tvsum"] * 10 + ["summe"] * 10
    assert [w[1].name for w in waiting[-20::2]] == [
        f"official-{n}" for _ in range(2) for n in range(5)
    ]
    name, split, scorer = waiting[0]
    found = {"tvsum": {split.name: {scorer: {"videos": {}}}}, "summe": {}}
    first.found = found
    first.write()
    again = make()
    assert again.found == found and len(again.waiting()) == 99
    assert again.run(1, QUICK[:1]) == 50 and len(calls) == 49
    assert again.run(1, QUICK) == 0 and len(calls) == 99
    assert make().waiting() == []


def test_a_file_that_is_none_of_ours(made_session, tmp_path):
    make, _ = made_session
    path = tmp_path / "out" / "s.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"rows": []}))
    message = f"{path} must be what an earlier run wrote; got KeyError('sets')."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        make()


# The tables.


def results(gain, *, splits=20, kind="random"):
    """Position is better than chance by `gain` of tau, on made-up videos."""
    draw, found = np.random.default_rng(0), {}
    for number in range(splits):
        test = [f"v{n}" for n in range(number % 5, 25, 5)]
        rows = {
            scorer: {
                "videos": {
                    name: {
                        "tau": more + 0.02 * draw.normal(),
                        "rho": 0.5,
                        "f_score": 45,
                    }
                    for name in test
                }
            }
            for scorer, more in (("random", 0), ("position", gain))
        }
        found[f"{kind}-{number}"] = rows
    return found


def test_a_large_difference_survives_and_none_does_not(made_session):
    text = table.write({"tvsum": results(0.2), "summe": results(0.0)})
    line = next(line for line in text.splitlines() if "position only - " in line)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[3] == "yes" and cells[6] == "no"
    mean, low, high = map(float, re.findall(r"-?\d\.\d+", cells[1]))
    assert low < mean < high and 0.19 < mean < 0.21
    assert "random splits | TVSum tau | TVSum rho | SumMe F" in text
    assert "| 45.0 [45.0, 45.0] |" in text and "splits)" not in text


def test_whole_repeats_and_whole_rows_alone_are_counted(made_session):
    found = results(0.1)
    del found["random-7"]["position"]
    assert table.whole_splits(found, "random", *QUICK) == [
        f"random-{n}" for n in range(20) if n // 5 != 1
    ]
    assert len(table.whole_splits(found, "random", "random")) == 20
    found |= results(0.1, splits=4, kind="official")
    assert len(table.whole_splits(found, "official", *QUICK)) == 4
    text = table.write({"tvsum": found, "summe": {}})
    assert text.count(" (15 splits) |") == 3 and text.count(" (4 splits) |") == 4
    values = table.by_video(found, ["random-0", "random-5"], "random", "tau")
    by_name = [found[n]["random"]["videos"] for n in ("random-0", "random-5")]
    expected = [
        np.mean([rows[v]["tau"] for rows in by_name]) for v in sorted(by_name[0])
    ]
    np.testing.assert_allclose(values, expected)


def test_the_table_before_any_result(made_session):
    text = table.write({"tvsum": {}, "summe": {}})
    assert "| position only | - | - | - | - | - |" in text
    assert "| position only - random scores | - | - | - | - | - | - |" in text
