"""PyTorch's files without torch: what is read, and what gets nowhere."""

import argparse
import collections
import io
import pickle
import re
import struct
import zipfile

import numpy as np
import pytest

from gpsattn_jax.convert.torch_pickle import MAGIC, PROTOCOL, read_torch_pickle

SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
FORMATS = ["zip", "row"]

# Pickles by hand. A storage "0" of floats, and a tensor in it.
FLOATS = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
ORDERED = b"ccollections\nOrderedDict\n"


def number(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(count=6, *, kind=FLOATS, key="0", rest=b"N"):
    told = text("storage") + kind + text(key) + text("cpu") + number(count) + rest
    return b"(" + told + b"tQ"


def tensor(offset=0, size=(2, 3), strides=(3, 1), *, of=None):
    places = number(offset) + numbers(*size) + numbers(*strides)
    hooks = b"\x89" + ORDERED + b")R"
    return REBUILD + b"(" + (of or storage()) + places + hooks + b"tR"


def state_dict(entry):
    return b"\x80\x02}" + text("w") + entry + b"s."


def written(path, content, form="row", *, floats=6, keys=("0",)):
    """A file around a pickle, with storages 0, 1, 2, … in it."""
    stored = np.arange(floats, dtype="<f4").tobytes()
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("name/data.pkl", content)
            for key in keys:
                archive.writestr(f"name/data/{key}", stored)
        return path
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, SYSTEM)]
    parts += [content, pickle.dumps(list(keys), 2)]
    parts += [struct.pack("<q", floats) + stored for _ in keys]
    path.write_bytes(b"".join(parts))
    return path


def refused(path, message):
    with pytest.raises(ValueError, match=message) as raised:
        read_torch_pickle(path)
    assert str(path) in str(raised.value)


# What torch writes.


def same(one, other, torch):
    if isinstance(other, torch.Tensor):
        assert isinstance(one, np.ndarray) and one.shape == tuple(other.shape)
        assert one.dtype.name == str(other.dtype).removeprefix("torch.")
        assert np.array_equal(one.astype(float), other.detach().double().numpy())
    elif isinstance(other, dict):
        assert list(one) == list(other)
        assert all(same(one[name], other[name], torch) for name in other)
    elif isinstance(other, list | tuple):
        assert type(one) is type(other) and len(one) == len(other)
        assert all(same(*pair, torch) for pair in zip(one, other, strict=True))
    else:
        assert one == other and type(one) is type(other)
    return True


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("form", FORMATS)
def test_files_of_torch(torch, tmp_path, form, protocol):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.rand(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    base = torch.rand(4, 6)
    kinds = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16")
    kinds = (*kinds, "int8", "uint8", "bool")
    content = {
        "model": net.state_dict(),
        "parameter": torch.nn.Parameter(base[0].clone()),
        "optimizer": optimizer.state_dict(),
        "kinds": {name: base.mul(9).to(getattr(torch, name)) for name in kinds},
        "views": [base.T, base[1:3, ::2], base[2, 3], base[:0], base[None, :, None]],
        "filters": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "numbers": (1, -2, 300, 70000, 2**40, 0.5, True, None, "text", [], ()),
    }
    options = {"_use_new_zipfile_serialization": form == "zip"}
    path = tmp_path / "file.pth"
    torch.save(content, path, pickle_protocol=protocol, **options)
    same(read_torch_pickle(path), content, torch)
    torch.save({"args": argparse.Namespace(rate=0.1), "a": 1}, path, **options)
    assert read_torch_pickle(path) == {"args": {}, "a": 1}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_shared_stays_shared(torch, tmp_path, form):
    part = torch.rand(3)
    content = [part, part, {"again": part}]
    options = {"_use_new_zipfile_serialization": form == "zip"}
    torch.save(content, tmp_path / "file.pth", **options)
    one, other, last = read_torch_pickle(tmp_path / "file.pth")
    assert np.shares_memory(one, other) and np.shares_memory(one, last["again"])


# Files by hand: first that they are right, then what is wrong with them.


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "entry, expected",
    [
        (tensor(), [[0, 1, 2], [3, 4, 5]]),
        (tensor(0, (3, 2), (1, 3)), [[0, 3], [1, 4], [2, 5]]),
        (tensor(5, (), ()), 5),
        (tensor(9, (0, 4), (4, 1)), np.zeros((0, 4))),
        (tensor(2, (1, 2), (1000, 2)), [[2, 4]]),
        (tensor(of=storage(rest=b"")), [[0, 1, 2], [3, 4, 5]]),
    ],
)
def test_tensors_are_views(tmp_path, form, entry, expected):
    path = written(tmp_path / "file.pth", state_dict(entry), form)
    np.testing.assert_array_equal(read_torch_pickle(path)["w"], expected, strict=False)


OUTSIDE = "a tensor outside its storage"
WRONG = {
    "offset": (tensor(1), OUTSIDE),
    "negative offset": (tensor(-1, (2,), (1,)), OUTSIDE),
    "negative size": (tensor(0, (-2, -3), (3, 1)), OUTSIDE),
    "negative stride": (tensor(5, (6,), (-1,)), OUTSIDE),
    "stride": (tensor(0, (2, 3), (4, 1)), OUTSIDE),
    "expanded": (tensor(0, (2**40,), (0,)), OUTSIDE),
    "huge": (tensor(0, (2**62, 2**62), (1, 1)), OUTSIDE),
    "empty but huge": (tensor(0, (0, 2**66), (1, 1)), "dimension|int"),
    "many axes": (tensor(0, (1,) * 40, (1,) * 40), OUTSIDE),
    "ranks": (tensor(0, (2, 3), (1,)), OUTSIDE),
    "size of text": (tensor().replace(numbers(2, 3), text("23")), OUTSIDE),
    "bool": (tensor().replace(numbers(2, 3), b"(\x88\x88t"), OUTSIDE),
    "no storage": (tensor(of=text("0")), OUTSIDE),
    "too few": (REBUILD + b")R", "argument"),
    "huge storage": (tensor(of=storage(2**50)), "exceeds the file"),
    "many storages": (
        b"(" + b"".join(storage(20, key=str(key)) for key in range(20)) + b"t",
        "exceeds the file",
    ),
    "negative storage": (tensor(of=storage(-1)), "exceeds the file"),
    "other length": (tensor(0, (2,), (1,), of=storage(5)), "storage '0' must have"),
    "other key": (tensor(of=storage(key="9")), "storages|no item named"),
    "a path": (tensor(of=storage(key="../data.pkl")), "storages|must have|no item"),
    "two types": (
        b"(" + storage() + storage(kind=b"ctorch\nIntStorage\n") + b"t",
        "described in two ways",
    ),
    "a view": (storage(rest=text("0")), "a strange storage"),
    "a class of text": (storage(kind=text("torch.FloatStorage")), "a strange storage"),
    "parameter": (
        b"ctorch._utils\n_rebuild_parameter\n(" + text("x") + b"\x89)tR",
        "a parameter that is no tensor",
    ),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", WRONG)
def test_wrong_tensors_are_refused(tmp_path, form, case):
    entry, message = WRONG[case]
    refused(written(tmp_path / "file.pth", state_dict(entry), form), message)


CODE = b"cos\nsystem\n" + text("touch sprung") + b"\x85R"
ATTACKS = {
    "os.system": (CODE, "it holds os.system, which might run code"),
    "by stack": (text("os") + text("system") + b"\x93", "holds os.system"),
    "builtins": (b"cbuiltins\neval\n" + text("1") + b"\x85R", "holds builtins.eval"),
    "torch.load": (b"ctorch\nload\n)R", "holds torch.load"),
    "dots": (b"ctorch\n_utils._rebuild_tensor_v2.__globals__\n", "might run code"),
    "text called": (text("os.system") + b")R", "calls what is no function"),
    "storage called": (FLOATS + b")R", "calls what is no function"),
    "not a tuple": (ORDERED + b"]R", "calls what is no function"),
    "odd arguments": (ORDERED + text("x") + b"\x85R", "not enough values"),
    "new object": (ORDERED + text("x") + b"\x85\x81", "not enough values"),
    "instance": (b"(ios\nsystem\n", "the pickle instruction INST"),
    "object": (b"(" + FLOATS + b"o", "the pickle instruction OBJ"),
    "extension": (b"\x82\x01", "the pickle instruction EXT1"),
    "escaped name": (b"S'\\x6f\\x73'\nVsystem\n\x93", "holds os.system"),
    "old text called": (b"Vos.system\n)R", "calls what is no function"),
    "old number": (b"I" + b"9" * 5000 + b"\n", "digits"),
    "a set of lists": (b"\x8f(]\x90", "a set has a member of type list"),
    "a set in itself": (b"\x8fq\x00(h\x00\x90", "fills what is no new set"),
    "many equal hashes": (b"}" + number(2**61 - 1) + b"Ns", r"beyond 2\*\*60"),
    "a reference": (b"P0\n", "the pickle instruction PERSID"),
    "a copy": (b"}2", "the pickle instruction DUP"),
    "memo far away": (b"}r\xff\xff\xff\x7fh\x05", "stores at 2147483647"),
    "memo unset": (b"h\x07", "7"),
    "a list in itself": (b"]q\x00h\x00a", "fills what is no new list"),
    "a dict in itself": (
        b"}q\x00" + text("model") + b"h\x00\x85h\x00" + text("x") + b"Nss",
        "fills what is no new dict",
    ),
    "a dict filled later": (
        b"(}q\x00h\x00" + text("x") + b"Ns" + b"t",
        "fills what is no new dict",
    ),
    "attributes of a function": (REBUILD + b"}b", "fills what is no new dict"),
    "items of a class": (ORDERED + text("x") + b"Ns", "fills what is no new dict"),
    "items of a tensor": (tensor() + text("x") + b"Ns", "fills what is no new dict"),
    "items of a text": (text("x") + b"Na", "fills what is no new list"),
    "odd items": (b"}(" + text("x") + b"u", "shorter"),
    "key": (b"})Ns", "a key of type tuple"),
    "empty stack": (b"\x87", "its stack is empty"),
    "behind the mark": (b"}N(s", "its stack is empty"),
    "no mark": (b"t", "index"),
    "text without end": (b"X\xff\xff\xff\xff12", "expected 4294967295 bytes"),
    "huge text": (b"\x8d" + b"\xff" * 8, "byte count > sys.maxsize"),
    "broken text": (b"X\x02\x00\x00\x00\xff\xfe", "utf-8"),
    "no instruction": (b"\xff", "unknown"),
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("case", ATTACKS)
def test_attacks_get_nowhere(tmp_path, monkeypatch, form, case):
    monkeypatch.chdir(tmp_path)
    entry, message = ATTACKS[case]
    path = written(tmp_path / "file.pth", state_dict(entry), form, keys=())
    refused(path, message)
    assert [file.name for file in tmp_path.iterdir()] == ["file.pth"]


def test_attributes_are_left_out(tmp_path):
    attributes = b"}(" + text("items") + b"N" + text("__class__") + FLOATS + b"ub"
    content = b"\x80\x02" + ORDERED + b")R" + text("a") + number(1) + b"s" + attributes
    result = read_torch_pickle(written(tmp_path / "file.pth", content + b".", keys=()))
    assert type(result) is dict and list(result.items()) == [("a", 1)]


def test_deep_nesting_is_no_danger(tmp_path):
    deep = b")" + b"\x85" * 200_000
    path = written(tmp_path / "file.pth", state_dict(deep), keys=())
    refused(path, "nested more than 100 deep")
    fair = b")" + b"\x85" * 90
    path = written(tmp_path / "file.pth", state_dict(fair), keys=())
    assert len(read_torch_pickle(path)["w"]) == 1
    refused(written(path, b"\x80\x02}" + fair + b"Ns.", keys=()), "key of type tuple")
    size = tensor().replace(numbers(2, 3), fair)
    refused(written(path, state_dict(size)), OUTSIDE)


# Files that are cut, or something else.


@pytest.mark.parametrize("form", FORMATS)
def test_every_cut_is_noticed(tmp_path, form):
    whole = written(tmp_path / "whole.pth", state_dict(tensor()), form).read_bytes()
    path = tmp_path / "file.pth"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, "not a readable PyTorch file")


@pytest.mark.parametrize("form", FORMATS)
def test_changed_bytes_never_run_anything(tmp_path, form):
    """Whatever stands in the file: a result or a ValueError."""
    whole = written(tmp_path / "whole.pth", state_dict(tensor()), form).read_bytes()
    path = tmp_path / "file.pth"
    draw = np.random.default_rng(0)
    read = 0
    for _ in range(1500):
        content = bytearray(whole)
        for place in draw.integers(len(whole), size=draw.integers(1, 4)):
            content[place] = draw.integers(256)
        path.write_bytes(content)
        try:
            read_torch_pickle(path)
            read += 1
        except ValueError as error:
            assert str(path) in str(error)
    assert 0 < read < 1500


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "exhausted"),
        (pickle.dumps([1], 2), "magic number"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(1002, 2), "protocol is not 1001"),
        (
            b"".join(
                pickle.dumps(part, 2)
                for part in (MAGIC, PROTOCOL, SYSTEM | {"little_endian": False})
            ),
            "not little-endian",
        ),
        (b"PK\x03\x04 no archive", "not a zip file"),
    ],
)
def test_other_files(tmp_path, content, message):
    path = tmp_path / "file.pth"
    path.write_bytes(content)
    refused(path, message)


@pytest.mark.parametrize("keys", [(), ("1",), ("0", "0"), ("0", "1"), ({},), ([],)])
def test_wrong_lists_of_storages(tmp_path, keys):
    path = written(tmp_path / "file.pth", state_dict(tensor()), keys=keys)
    refused(path, "its list of storages is not that of its tensors")


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_odd_archives(tmp_path):
    path, content = tmp_path / "file.pth", state_dict(b"N")
    members = {"a/data.pkl": content, "a/byteorder": b"big"}
    refused(archive(path, members), "not little-endian")
    refused(archive(path, {"a/data.pkl": content, "b/data.pkl": content}), "2 members")
    refused(archive(path, {"a/other": b""}), "0 members")
    bomb = {"a/data.pkl": content, "a/data/0": bytes(10**6)}
    refused(archive(path, bomb, zipfile.ZIP_DEFLATED), "compressed")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.pth"):
        read_torch_pickle(tmp_path / "nowhere.pth")


def test_real_pickles_of_dicts_are_read(tmp_path):
    """What Python itself makes of dicts that refer to the same things."""
    shared = ["a", 1.5]
    content = collections.OrderedDict(one=shared, two={"three": shared, 4: (None,)})
    for protocol in (2, 3, 4):
        file = io.BytesIO()
        pickle.Pickler(file, protocol).dump(content)
        path = written(tmp_path / "file.pth", file.getvalue(), keys=())
        result = read_torch_pickle(path)
        assert result == content and result["one"] is result["two"]["three"]
    for entry in (re.compile("a"), pathless):
        path = written(tmp_path / "file.pth", pickle.dumps({"x": entry}, 2), keys=())
        refused(path, "which might run code")


def pathless():
    """A function of this file, which no pickle may name."""
