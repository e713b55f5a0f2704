"""Small inputs that once failed, beside the repository: what each must give."""

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_clip, read_clips, read_folder
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts


@pytest.fixture
def cases(data_dir):
    folder = data_dir.parent / "cases" / "skeletons"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    return folder


@pytest.mark.parametrize(
    "name, layout, axes, channels, shape",
    [
        ("f_ctvm", "coco17", "ctvm", "xy", (2, 17, 2)),
        ("f_mtvc", "coco17", "mtvc", "xy", (2, 17, 2)),
        ("f_conf", "coco17", "auto", "xyc", (1, 17, 2)),
        ("f_conf4", "coco17", "auto", "xyzc", (1, 17, 3)),
        ("m_names", "mediapipe33", "auto", "auto", (1, 33, 3)),
        ("m_wide_names", "mediapipe33", "auto", "auto", (1, 33, 3)),
        ("m_ms", "mediapipe33", "auto", "auto", (1, 33, 3)),
        ("j_openpose", "coco17", "auto", "auto", (1, 17, 2)),
        ("j_kinetics", "coco17", "auto", "auto", (1, 17, 2)),
        ("j_ntuskel", "ntu25", "auto", "auto", (1, 25, 3)),
    ],
)
def test_a_folder_is_read(cases, name, layout, axes, channels, shape):
    # Its table names clips that were not kept.
    clips, _ = read_folder(cases / name, LAYOUTS[layout], skip_bad=True)
    assert clips.joints.shape[1:] == shape
    assert np.diff(clips.offsets).min() >= 10  # frames
    assert (clips.reading.axes, clips.reading.channels) == (axes, channels)
    assert len(read_clips(next(iter(_files(cases / name))), LAYOUTS[layout])) == 1


def _files(folder):
    """The clips of a folder, without its table."""
    return sorted(path for path in folder.iterdir() if path.name != "labels.csv")


def test_garbage_of_low_confidence_is_hidden(cases):
    for path in _files(cases / "f_conf"):
        score = np.load(path)[..., 2]
        found = read_clip(path, LAYOUTS["coco17"])
        np.testing.assert_array_equal(found.mask[:, 0], score >= 0.3)


@pytest.mark.parametrize(
    "name, message",
    [
        ("f_comma", "rows must have 3 cells, with double quotes .* row 4, row 7"),
        ("f_splitcase", "split must be 'train'; got 'Train' for 8 clips"),
    ],
)
def test_rows_that_do_not_fit_are_named(cases, name, message):
    config = DataConfig(name="folder", path=str(cases / name), layout="coco17")
    with pytest.raises(ValueError, match=rf"labels\.csv: {message}"):
        load_parts(config)


def pickle_parts(path, **options):
    splits = {"train_split": "xsub_train", "test_split": "xsub_val"}
    options |= splits | {"name": "pickle", "path": str(path), "layout": "coco17"}
    return load_parts(DataConfig(**options))


@pytest.mark.parametrize(
    "name, count", [("allzero", 23), ("bad3", 21), ("conf3", 24), ("arrlabel", 24),
                    ("missingname", 24), ("none", 24)]
)  # fmt: skip
def test_a_pickle_is_read(cases, name, count, capsys):
    parts = pickle_parts(cases / f"{name}.pkl", skip_bad=count < 24)
    assert (len(parts["train"]), len(parts["test"])) == (count, 12)
    assert parts["train"].joints.shape[1:] == (1, 17, 2)
    printed = capsys.readouterr().err
    assert (f"{24 - count} of 36 clips cannot be used" in printed) == (count < 24)
    assert ("1 clips that are not there: S999_missing" in printed) == (
        name == "missingname"
    )
    if name == "conf3":  # scaled by the picture's size
        assert abs(parts["train"].joints).max() < 1.5


def test_bad_clips_of_a_pickle_are_listed_at_once(cases):
    with pytest.raises(ValueError, match="By kind: 3 x must have joints") as caught:
        pickle_parts(cases / "bad3.pkl")
    names = ("R001A001_3", "R001A002_4", "R001A003_5")
    assert all(f"{name}: must have joints" in str(caught.value) for name in names)
