"""The drawn video: as long as its scenes, with sound, the same from the same seed."""

import itertools

import numpy as np
import pytest

pytest.importorskip("av", reason="needs av (extra: video)")

from gpsattn_jax.data.videos.media.demo_video import SCENES, write_demo_video
from gpsattn_jax.data.videos.media.sampling import probe
from tests.data.videos.media import made_videos as made

SMALL = {"size": (64, 36), "fps": 6}


def test_scenes_are_where_they_are_told(tmp_path):
    scenes = write_demo_video(tmp_path / "a.mp4", seed=1, scenes=5, **SMALL)
    info = probe(tmp_path / "a.mp4")
    assert info.duration == pytest.approx(scenes[-1].end, abs=0.01)
    assert (info.width, info.height, info.has_audio) == (64, 36, True)
    names = [scene.name for scene in scenes]
    assert {*names} <= {*SCENES} and all(a != b for a, b in itertools.pairwise(names))
    assert [s.start for s in scenes] == [0.0, *(s.end for s in scenes[:-1])]
    # Each scene's mean colour stays its own, and differs from its neighbours'.
    means = [
        np.array([c for t, c in made.pictures(tmp_path / "a.mp4") if a <= t < b - 0.01])
        for a, b in ((s.start, s.end) for s in scenes)
    ]
    for before, after in itertools.pairwise(means):
        within = np.ptp(before, axis=0).max()
        assert np.abs(before.mean(0) - after.mean(0)).max() > 2 * within


def test_each_scene_has_its_tone(tmp_path):
    scenes = write_demo_video(tmp_path / "a.mp4", seed=2, scenes=3, **SMALL)
    heard = made.samples(tmp_path / "a.mp4")
    for scene in scenes:
        middle = round((scene.start + scene.end) / 2 * made.RATE)
        part = heard[middle - made.RATE // 2 : middle + made.RATE // 2]
        assert abs(np.abs(np.fft.rfft(part)).argmax() - SCENES[scene.name][3]) <= 1


def test_seeds(tmp_path):
    paths = [tmp_path / f"{name}.mp4" for name in "abc"]
    plans = [
        write_demo_video(path, seed=seed, scenes=3, **SMALL)
        for path, seed in zip(paths, (3, 3, 4), strict=True)
    ]
    assert plans[0] == plans[1] != plans[2]
    # Encoders that work in threads are not the same to the last bit.
    pictures = [np.array([color for _, color in made.pictures(path)]) for path in paths]
    np.testing.assert_allclose(pictures[0], pictures[1], atol=2)


@pytest.mark.parametrize("options", [{"scenes": 0}, {"size": (65, 36)}])
def test_what_is_no_video_is_refused(tmp_path, options):
    with pytest.raises(ValueError, match="scenes must be at least 1 and size two even"):
        write_demo_video(tmp_path / "a.mp4", **options)
    assert not list(tmp_path.iterdir())
