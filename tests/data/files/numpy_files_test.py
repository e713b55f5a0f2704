"""NumPy's files: what is damaged, or blown up, is one error by file and array."""

import io
import os
import zipfile

import numpy as np
import pytest

from gpsattn_jax.data.files.numpy_files import npz_names, read_npy, read_npz


def npy(array, shape=None):
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    if shape is not None:  # another shape in a header of the same length
        old = str(array.shape).encode()
        content = content.replace(
            old + b", }" + b" " * 40, b"%-*s" % (len(old) + 43, shape.encode() + b", }")
        )
    return content


def npz(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def test_arrays_are_read_whole_and_by_name(tmp_path):
    values = {"a": np.arange(6).reshape(2, 3), "b": np.ones((3, 0), np.float16)}
    np.savez_compressed(tmp_path / "a.npz", **values)
    for names in ((), ("a", "b")):
        found = read_npz(tmp_path / "a.npz", *names)
        assert found.keys() == values.keys()
        for name, array in values.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype
    assert npz_names(tmp_path / "a.npz") == ("a", "b")
    np.save(tmp_path / "a.npy", np.asfortranarray(values["a"]))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), values["a"])
    with pytest.raises(ValueError, match="a.npz: must have the array c"):
        read_npz(tmp_path / "a.npz", "c")
    with pytest.raises(FileNotFoundError, match="nowhere.npz: no such file"):
        read_npz(tmp_path / "nowhere.npz")


def test_only_the_wanted_arrays_are_read(tmp_path):
    path = npz(tmp_path / "a.npz", good=npy(np.arange(3)), bad=b"damaged")
    np.testing.assert_array_equal(read_npz(path, "good")["good"], [0, 1, 2])
    with pytest.raises(ValueError, match="a.npz: array bad: must be arrays of NumPy"):
        read_npz(path)


def test_a_small_file_that_fills_the_memory_is_refused(tmp_path):
    path = npz(
        tmp_path / "bomb.npz", zeros=npy(np.zeros(2**27, np.uint8)), one=npy(np.ones(1))
    )
    with pytest.raises(ValueError, match="bomb.npz: array zeros: .* bytes that unpack"):
        read_npz(path)
    assert read_npz(path, "one")["one"] == 1


@pytest.mark.parametrize("shape", ["(99999999999,)", "(3, 99999999)", "(-3,)"])
def test_a_header_that_says_too_much_is_refused(tmp_path, shape):
    content = npy(np.arange(3), shape)
    assert shape.encode() in content
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(
        ValueError, match="a.npy: must be arrays of NumPy; got .*bytes for an array"
    ):
        read_npy(tmp_path / "a.npy")
    with pytest.raises(ValueError, match="b.npz: array x: .*bytes for an array"):
        read_npz(npz(tmp_path / "b.npz", x=content))


def test_objects_pipes_and_other_files_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(
        ValueError, match="o.npy: .*pickled objects, which are not read"
    ):
        read_npy(tmp_path / "o.npy")
    os.mkfifo(tmp_path / "p.npz")
    with pytest.raises(ValueError, match="p.npz: must be a file; got a pipe"):
        read_npz(tmp_path / "p.npz")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("readme.txt", "text")
    with pytest.raises(ValueError, match="t.npz: .*got the file readme.txt"):
        read_npz(tmp_path / "t.npz")


def test_attacks_end_in_one_line(cases):
    for path in sorted((cases / "attacks").glob("*.np[yz]")):
        read = read_npy if path.suffix == ".npy" else read_npz
        with pytest.raises(ValueError, match=path.name) as raised:
            read(path)
        assert "\n" not in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npy", "npz", "packed.npz"])
def test_mutated_files_give_arrays_or_one_error(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    values = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    if suffix == "npy":
        np.save(path, values)
    else:
        save = np.savez_compressed if "packed" in suffix else np.savez
        save(path, joints=values, labels=np.arange(5))
    whole, read = path.read_bytes(), read_npy if suffix == "npy" else read_npz
    for seed in range(400):
        path.write_bytes(mutated(whole, seed))
        try:
            read(path)
        except ValueError as error:
            assert path.name in str(error) and "\n" not in str(error), seed


def mutated(content, seed):
    """Some bytes changed, mostly at the front, or a piece cut out, doubled or off."""
    draw = np.random.default_rng(seed)
    changed = bytearray(content)
    kind = seed % 4
    if kind < 2:
        span = min(len(changed), 140) if kind else len(changed)
        for place in draw.integers(span, size=draw.integers(1, 9)):
            changed[place] = draw.integers(256)
        return bytes(changed)
    first, last = sorted(draw.integers(len(changed), size=2))
    middle = b"" if kind == 2 else changed[first:last] * 2
    return bytes(changed[:first] + middle + changed[last:])
