"""Rows of labels.csv that do not fit, and bad clips: none is lost in silence."""

import numpy as np
import pytest

from gpsattn_jax.data.skeletons.clip_folder import read_folder
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.data.skeletons.load import DataConfig, load_parts

COCO = LAYOUTS["coco17"]


def folder_of(path, table, bad=()):
    """Clips c0 … c5 and a table; those named in `bad` are zeros."""
    for place in range(6):
        clip = np.random.default_rng(place).uniform(20, 480, (9, 17, 2))
        np.save(path / f"c{place}.npy", clip * (place not in bad))
    (path / "labels.csv").write_text(table)
    return path


def table_of(*splits, label="wave", delimiter=","):
    rows = [("name", "label", "split")]
    rows += [(f"c{place}", label, split) for place, split in enumerate(splits)]
    return "".join(delimiter.join(row) + "\n" for row in rows)


def parts_of(folder, **options):
    return load_parts(
        DataConfig(name="folder", path=str(folder), layout="coco17", **options)
    )


SPLITS = ("train", "train", "train", "train", "test", "test")


def test_a_comma_in_a_class_name_is_an_error_unless_quoted(tmp_path):
    folder_of(tmp_path, table_of(*SPLITS, label="hand push, slowly"))
    message = "rows must have 3 cells, with double quotes .* are row 2, row 3"
    with pytest.raises(ValueError, match=rf"labels\.csv: {message}"):
        parts_of(tmp_path)
    (tmp_path / "labels.csv").write_text(table_of(*SPLITS, label='"push, slowly"'))
    parts = parts_of(tmp_path)
    assert parts["train"].class_names == ("push, slowly",)
    assert (len(parts["train"]), len(parts["test"])) == (4, 2)


def test_a_misspelt_split_is_an_error(tmp_path):
    folder_of(tmp_path, table_of("train", "Train", "TRAIN", "train", "test", "test"))
    with pytest.raises(ValueError, match=r"labels\.csv: split must be 'train'; got 'T"):
        parts_of(tmp_path)


def test_clips_in_no_used_part_are_counted(tmp_path, capsys):
    folder_of(tmp_path, table_of("train", "", "val", "val", "test", ""))
    parts = parts_of(tmp_path)
    assert (len(parts["train"]), len(parts["test"])) == (1, 1)
    printed = capsys.readouterr().err
    assert "labels.csv: 4 clips are in no used part (train, test): " in printed
    assert "2 of 'val'" in printed and "2 without split" in printed


def test_short_rows_have_no_split(tmp_path, capsys):
    folder_of(tmp_path, table_of(*SPLITS).replace("c5,wave,test", "c5,wave"))
    assert len(parts_of(tmp_path)["test"]) == 1
    assert "1 without split" in capsys.readouterr().err


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path, delimiter):
    folder_of(tmp_path, table_of(*SPLITS, label="a, b", delimiter=delimiter))
    assert parts_of(tmp_path)["train"].class_names == ("a, b",)


def test_bad_clips_are_listed_together_or_left_out(tmp_path, capsys):
    folder_of(tmp_path, table_of(*SPLITS) + "c9,wave,train\n", bad=(1, 4))
    np.save(tmp_path / "c2.npy", np.ones((9, 16, 2)))
    (tmp_path / "c3.npy").write_bytes(b"")
    np.save(tmp_path / "extra.npy", np.ones((9, 17, 2)))
    with pytest.raises(ValueError) as caught:
        parts_of(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{tmp_path}: 6 of 8 clips cannot be used:"
    listed = "\n".join(lines[1:7])
    for reason in (
        "labels.csv: row 8: must name a clip that is there; got 'c9'",
        "extra.npy: must have a label in",
        "c1.npy: must have joints; got none",
        "c2.npy: must have the 17 joints of layout coco17; got 16",
        "c3.npy: must be arrays of NumPy",
        "c4.npy: must have joints",
    ):
        assert reason in listed
    assert "2 x must have joints" in lines[7] and "--data.skip_bad" in lines[8]
    parts = parts_of(tmp_path, skip_bad=True)
    assert (len(parts["train"]), len(parts["test"])) == (1, 1)
    assert "6 of 8 clips cannot be used" in capsys.readouterr().err


def test_the_list_ends_after_ten(tmp_path):
    rows = "".join(f"d{place},wave,train\n" for place in range(30))
    folder_of(tmp_path, table_of(*SPLITS) + rows)
    with pytest.raises(ValueError, match="30 of 36 clips cannot be used") as caught:
        parts_of(tmp_path)
    assert "  and 20 more\nBy kind: 30 x must name a clip" in str(caught.value)


def test_nothing_left_is_an_error(tmp_path):
    folder_of(tmp_path, table_of(*SPLITS), bad=range(6))
    with pytest.raises(ValueError, match=r"6 of 6 clips (?s:.*)None is left"):
        parts_of(tmp_path, skip_bad=True)


def test_a_layout_file_beside_the_clips_is_no_clip(tmp_path):
    folder_of(tmp_path, table_of(*SPLITS))
    (tmp_path / "layout.json").write_text('{"edges": [[0, 1]]}')
    (tmp_path / "__MACOSX").mkdir()
    np.save(tmp_path / "__MACOSX" / "c0.npy", np.ones(3))
    clips, splits = read_folder(tmp_path, COCO)
    assert len(clips) == 6 and set(splits) == {"train", "test"}


def test_tables_of_a_spreadsheet(tmp_path):
    """With a mark of their byte order, tabs and CR LF; or in an encoding of its own."""
    text = table_of(*SPLITS, label="schön").replace("\n", "\r\n")
    folder_of(tmp_path, "")
    for coding, delimiter in (("utf-8-sig", ","), ("utf-16", "\t"), ("utf-16", ";")):
        content = text.replace(",", delimiter).encode(coding)
        (tmp_path / "labels.csv").write_bytes(content)
        clips, splits = read_folder(tmp_path, COCO)
        assert clips.class_names == ("schön",) and len(splits["train"]) == 4
    (tmp_path / "labels.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(ValueError, match=r'labels\.csv must be UTF-8 .* "CSV UTF-8"'):
        read_folder(tmp_path, COCO)
