"""A file out of a zip: found, bounded, and nothing else of the archive believed."""

import errno
import os
import pathlib
import re
import struct
import zipfile

import pytest

from gpsattn_jax.systems import archives
from gpsattn_jax.systems.archives import extract


@pytest.fixture
def archive(tmp_path):
    """Two networks in folders, a file beside them, and a folder with two files."""
    path = tmp_path / "w.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.mkdir("nets")
        opened.mkdir("nets/a")
        opened.writestr("nets/a/epoch-3.pkl", b"a" * 1000)
        opened.writestr("nets/ab/epoch-5.pkl", b"ab")
        opened.writestr("nets/two/one.pkl", b"1")
        opened.writestr("nets/two/other.pkl", b"2")
        opened.writestr("../../outside.pkl", b"outside")
    return path


@pytest.mark.parametrize("member", ["nets/a", "nets/a/", "nets/a/epoch-3.pkl"])
def test_a_folder_or_a_file_of_it(archive, tmp_path, member):
    path = tmp_path / "members" / "mine"
    assert extract(archive, member, path) == path
    assert path.read_bytes() == b"a" * 1000
    assert [p.name for p in path.parent.iterdir()] == ["mine"]


def test_what_is_kept_is_compared_and_not_written_again(archive, tmp_path):
    path = extract(archive, "nets/a", tmp_path / "mine")
    before = path.stat().st_ino
    assert extract(archive, "nets/a", path).stat().st_ino == before
    path.write_bytes(b"b" * 1000)
    assert extract(archive, "nets/a", path).read_bytes() == b"a" * 1000


def test_a_path_out_of_the_folder_leads_nowhere(archive, tmp_path):
    """The name that is written is ours, whatever the archive calls the file."""
    path = extract(archive, "../../outside.pkl", tmp_path / "in" / "mine")
    assert path.read_bytes() == b"outside"
    written = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert written == ["mine", "w.zip"]


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("nets/c", "must hold one file nets/c or below it; got none. It holds"),
        ("nets", "must hold one file nets or below it; got none."),
        ("nets/two", "got 2 of them. It holds nets/two/one.pkl, nets/two/other.pkl."),
    ],
)
def test_no_such_member(archive, tmp_path, member, words):
    with pytest.raises(ValueError) as error:
        extract(archive, member, tmp_path / "mine")
    assert str(error.value).startswith(f"{archive}: ") and words in str(error.value)
    assert "nets/two/one.pkl" in str(error.value)
    assert not (tmp_path / "mine").exists()


def changed(archive, change):
    archive.write_bytes(change(archive.read_bytes()))


DAMAGE = {
    "cut": (lambda content: content[:500], "not a readable zip archive"),
    "other bytes": (
        lambda content: content.replace(b"a" * 1000, b"b" * 1000),
        "nets/a/epoch-3.pkl: not a readable file: Bad CRC-32",
    ),
    "no zip": (lambda content: b"<html>", "not a readable zip archive"),
}


@pytest.mark.parametrize("change, words", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_archive(archive, tmp_path, change, words):
    changed(archive, change)
    with pytest.raises(ValueError, match=f"^{re.escape(str(archive))}: ") as error:
        extract(archive, "nets/a", tmp_path / "mine")
    assert words in str(error.value) and not (tmp_path / "mine").exists()


def test_a_large_member_is_refused_before_it_is_unpacked(
    archive, tmp_path, monkeypatch
):
    monkeypatch.setattr(archives, "MOST_BYTES", 999)
    with pytest.raises(ValueError, match="must have at most 999 bytes; got 1,000"):
        extract(archive, "nets/a", tmp_path / "mine")


def test_a_member_that_says_it_is_small_is_not_believed(tmp_path, monkeypatch):
    """Its size in the directory is wrong: no more bytes come than it says."""
    path = tmp_path / "w.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("w", bytes(10**6))
    size = struct.pack("<I", 10**6)
    changed(path, lambda content: content.replace(size, struct.pack("<I", 10)))
    with pytest.raises(ValueError, match="Bad CRC-32"):
        extract(path, "w", tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_an_encrypted_member(archive, tmp_path):
    entry = b"PK\x01\x02"  # in the directory; flags are 8 bytes behind

    def encrypt(content):
        place = content.index(b"nets/a/epoch", content.index(entry)) - 46
        return content[: place + 8] + b"\1" + content[place + 9 :]

    changed(archive, encrypt)
    with pytest.raises(ValueError, match=r"epoch-3.pkl must not be encrypted\."):
        extract(archive, "nets/a", tmp_path / "mine")


def test_a_full_disk_is_no_damaged_archive(archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    path = tmp_path / "mine"
    with pytest.raises(OSError, match=f"^{re.escape(str(path))} cannot be written: No"):
        extract(archive, "nets/a", path)
    assert [p.name for p in tmp_path.iterdir()] == ["w.zip"]


def test_no_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        extract(tmp_path / "w.zip", "nets/a", tmp_path / "mine")
