"""PyTorch's files without torch, and without running anything that is in them.

Both formats of `torch.save` are read: the zip archive (since PyTorch 1.6) and
the older row of pickles; torch/serialization.py describes them. A plain pickle of a
dict of NumPy's arrays, as Detectron2 has them, is read likewise.
"""

import io
import os
import pathlib
import struct
import zipfile
from typing import Any

import numpy as np

from gpsattn_jax.convert.torch_names import Storages, torch_names
from gpsattn_jax.data.files.pickles import Machine, check, reason

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ADVICE = (
    "Where the file is yours and PyTorch reads it, save the weights alone: "
    "torch.save(model.state_dict(), path)."
)


def read_torch_pickle(path: str | os.PathLike) -> Any:
    """What `torch.save` wrote: state dicts and what training scripts put around them.

    Args:
        path: of the file; it is read whole.

    Returns:
        Dicts, lists, tuples, sets, texts, numbers and, for tensors, parameters and
        NumPy's arrays, arrays, which share memory as the tensors did. Of an
        `argparse.Namespace` an empty dict is left, of an `OrderedDict` a dict without
        attributes, of other objects an `Inert` that has their class's name.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it, such as the name that it
            holds and that might run code.
    """
    content = pathlib.Path(path).read_bytes()
    try:
        if content.startswith(b"PK\x03\x04"):
            return _read_zip(content)
        return _read_row(content)
    except Exception as error:  # broken files raise all sorts of things
        why = reason(error).rstrip(".")
        advice = f" {ADVICE}" * ("might run code" in why)
        raise ValueError(
            f"{path}: not a readable PyTorch file of weights alone: {why}.{advice}"
        ) from error


def _machine(size, storages):
    return Machine(size, torch_names(size), storages.find)


def _read_zip(content):
    """An archive of NAME/data.pkl and NAME/data/KEY, one member for each storage."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        check(
            all(member.compress_type == zipfile.ZIP_STORED for member in members)
            and sum(member.file_size for member in members) <= len(content),
            "its members are compressed or lie upon each other",
        )
        found = [m.filename for m in members if m.filename.endswith("/data.pkl")]
        check(len(found) == 1, f"it has {len(found)} members data.pkl")
        folder = found[0].removesuffix("data.pkl")
        names = set(archive.namelist())
        check(f"{folder}constants.pkl" not in names, "it is a program of TorchScript")
        if f"{folder}byteorder" in names:
            order = archive.read(f"{folder}byteorder")
            check(order == b"little", "its numbers are not little-endian")
        pickled = archive.read(found[0])
        storages = Storages(len(content))
        result = _machine(len(pickled), storages).run(io.BytesIO(pickled))
        for key, storage in storages.by_key.items():
            _fill(key, storage, archive.read(f"{folder}data/{key}"))
        return result


def _read_row(content):
    """Magic number, protocol, system, object, keys, each a pickle; then storages."""
    file, storages = io.BytesIO(content), Storages(len(content))
    machine = _machine(len(content), storages)
    first = machine.run(file)
    if isinstance(first, dict) and file.tell() == len(content):
        return first  # a plain pickle
    check(first == MAGIC, "its magic number is not PyTorch's")
    check(machine.run(file) == PROTOCOL, f"its protocol is not {PROTOCOL}")
    system = machine.run(file)
    check(system["little_endian"] is True, "its numbers are not little-endian")
    result, keys = machine.run(file), machine.run(file)
    found = storages.by_key
    check(
        isinstance(keys, list)
        and len(keys) == len(found)
        and all(isinstance(key, str) and key in found for key in keys)
        and len(set(keys)) == len(keys),
        "its list of storages is not that of its tensors",
    )
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storage = found[key]
        check(
            count == len(storage),
            f"storage {key!r} must have {len(storage)} numbers; got {count}",
        )
        _fill(key, storage, file.read(storage.nbytes))
    return result


def _fill(key, storage, stored):
    check(
        len(stored) == storage.nbytes,
        f"storage {key!r} must have {storage.nbytes} bytes; got {len(stored)}",
    )
    storage.view(np.uint8)[:] = np.frombuffer(stored, np.uint8)
