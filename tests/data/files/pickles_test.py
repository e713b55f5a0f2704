"""The machine for pickles: what is bounded before it is built, and random damage."""

import pickle
import struct
import time
import tracemalloc

import numpy as np
import pytest

from gpsattn_jax.data.files.pickles import parse_pickle, read_pickle

ROWS = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
RECONSTRUCT = np.zeros(1).__reduce__()[0]


def refused(content, message):
    """In a little time and memory, with a message of a few lines."""
    start = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as raised:
            parse_pickle(content, "the file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(content) * 100 + 20_000_000
    assert time.monotonic() - start < 10
    assert str(raised.value).startswith("the file: ") and len(str(raised.value)) < 600


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.made = function, arguments, state

    def __reduce__(self):
        return self.made


def array_with(dtype_state, raw=b"12345678"):
    dtype = Call(np.dtype, "f8", False, True, state=dtype_state)
    return Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, (1,), dtype, False, raw))


LAUGHS = 0
for _ in range(12):
    LAUGHS = [LAUGHS] * 10


# Files that a free, or half free, unpickler obeys.


@pytest.mark.parametrize(
    "state",
    [
        # With fields, sizes or flags that the file chooses, NumPy reads where it says.
        (3, "<", None, ("a",), {"a": (np.dtype("f8"), 2**40)}, 8, 1, 0),
        (3, "|", None, ("a",), {"a": ("O", 0)}, 8, 1, 63),
        (3, "<", (np.dtype("f8"), (2**40,)), None, None, -1, -1, 0),
        (3, "x", None, None, None, -1, -1, 0),
        (3,),
        None,
    ],
)
def test_a_dtype_takes_nothing_but_its_byte_order(state):
    refused(
        pickle.dumps(array_with(state), 2),
        "numbers or texts|damaged|before its content|unpack",
    )


@pytest.mark.parametrize(
    "shape, message",
    [
        ((2**60,), "without a shape"),
        ((0, 2**40), "must have 0 bytes"),
        ((-1,), "without a shape"),
        ((2, 2), "must have 32 bytes"),
        ([1], "without a shape"),
        ((True,), "without a shape"),
    ],
)
def test_an_array_is_as_large_as_its_bytes(shape, message):
    raw = b"" if 0 in shape else b"12345678"
    state = (1, shape, np.dtype("f8"), False, raw)
    call = Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=state)
    refused(pickle.dumps(call, 2), message)


def test_empty_texts_are_not_many():
    call = Call(
        RECONSTRUCT, np.ndarray, (0,), b"b",
        state=(1, (10**12,), np.dtype("S1"), False, b""),
    )  # fmt: skip
    content = pickle.dumps(call, 2).replace(b"S1", b"S0")
    refused(content, "must have 0 bytes")


def test_chains_of_codecs_do_not_fill_the_memory():
    text = "x" * 100_000
    program = b"\x80\x02" + pickle.dumps(text, 2)[2:-1] + b"("
    for name in ("latin1", "rot13", "zlib", "utf-16"):
        coding = b"X" + struct.pack("<I", len(name)) + name.encode()
        call = b"c_codecs\nencode\n(h\x00" + coding + b"tR"
        message = "no larger than the file" if name == "latin1" else "no text of bytes"
        refused(program + call * 500 + b"t.", message)
    nested = b"c_codecs\nencode\n(" * 3 + b"h\x00" + (b"X\x06\x00\x00\x00latin1tR") * 3
    refused(program + nested + b"t.", "no text of bytes")


@pytest.mark.parametrize("item", [b"]", b"}", b")", b"\x8f", b"]\x94"])
def test_many_containers_do_not_fill_the_memory(item):
    refused(b"\x80\x04(" + item * 100_000 + b"l.", "more objects than its size allows")


@pytest.mark.parametrize("item", [b"N", b"(", b"\x88"])
def test_many_marks_and_numbers_are_harmless(item):
    content = b"\x80\x04" + item * 100_000
    refused(content, "exhausted before its end")


@pytest.mark.parametrize(
    "opening, closing", [(b"]" * 5000, b"a" * 4999), (b")", b"\x85" * 5000)]
)
def test_depth_is_bounded(opening, closing):
    refused(b"\x80\x04" + opening + closing + b".", "nested more than 100 deep")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("around", [list, tuple, lambda it: dict(enumerate(it))])
def test_references_to_the_same_things_are_counted(protocol, around):
    tree = "label"
    for _ in range(12):
        tree = around([tree] * 10)
    refused(pickle.dumps({"label": tree}, protocol), "references to the same things")


def test_a_long_text_in_many_places_is_counted():
    refused(pickle.dumps(["x" * 100_000] * 10_000, 2), "references to the same things")


def test_what_files_share_is_read(tmp_path):
    """Fifty thousand clips with one size, as mmaction2 writes them."""
    size, path = (1080, 1920), tmp_path / "a.pkl"
    clips = [{"frame_dir": f"S{i:09}", "img_shape": size} for i in range(50_000)]
    path.write_bytes(pickle.dumps(clips, 4))
    found = read_pickle(path)
    assert found == clips and found[0]["img_shape"] is found[-1]["img_shape"]


def test_sets_are_read_and_hold_plain_things():
    for protocol in (4, 5):
        tree = {"train": {"a", "b"}, "val": frozenset({3})}
        found = parse_pickle(pickle.dumps(tree, protocol), "the file")
        assert found == tree
    refused(pickle.dumps({(1, (2, 3))}, 4), "a set has a member of type tuple")


def test_texts_and_bytes_of_python_2():
    assert parse_pickle(b"(dp0\nS'a\\xff'\np1\nI3\ns.", "") == {"a\xff": 3}
    assert (
        parse_pickle(b"\x80\x02U\x03\xff\x00ae.".replace(b"e.", b"."), "")
        == "\xff\x00a"
    )
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNN"
    dtype += b"J\xff\xff\xff\xff" * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    array += b"(K\x01(K\x03t" + dtype + b"\x89U\x03\x00\x7f\xfftb."
    np.testing.assert_array_equal(parse_pickle(b"\x80\x02" + array, ""), [0, 127, 255])


# Random damage.


def trees():
    yield {"data": ROWS, "labels": [1, 2], "filenames": ["a.png", "b.png"]}
    yield [{"frame_dir": "v", "keypoint": np.ones((1, 2, 17, 2), np.float16)}]
    yield {"split": {"train": ["v"], "val": {"w"}}, "n": (np.int64(3), b"\x00\xff")}


def damage(seed):
    """A pickle with some bytes changed, cut, repeated or exchanged, by the seed."""
    draw = np.random.default_rng(seed)
    whole = [pickle.dumps(tree, int(draw.integers(6))) for tree in trees()]
    content = bytearray(whole[draw.integers(len(whole))])
    for _ in range(draw.integers(1, 6)):
        start, end = sorted(draw.integers(0, len(content) + 1, 2))
        end = min(end, start + int(draw.integers(1, 40)))
        kind = draw.integers(5)
        if kind == 0:
            content[start : start + 1] = draw.bytes(1)
        elif kind == 1:
            content[start:end] = b""
        elif kind == 2:
            content[start:start] = content[start:end] * int(draw.integers(1, 5))
        elif kind == 3:
            content[start:start] = bytes([draw.choice(list(b")]}(NtlRbsuae\x94\x85."))])
        else:
            content[start : start + 4] = draw.bytes(4)
    return bytes(content)


def try_seed(seed):
    """Whether the damaged pickle was read; any other error than ValueError escapes."""
    try:
        parse_pickle(damage(seed), "the file")
    except ValueError as error:
        assert str(error).startswith("the file: ") and len(str(error)) < 600
        return False
    return True


@pytest.mark.slow
def test_damage_gives_a_result_or_one_clear_error(seeds):
    read = sum(try_seed(seed) for seed in seeds)
    assert 0 < read < len(seeds)
