"""A look at the heaps of an HDF5 file, in which its texts are, before HDF5 reads them.

The library walks through a heap from object to object by their sizes; an empty piece of
free space, as a flipped bit makes it, keeps it there for ever.
"""

import mmap
import os
import struct

_SIGNATURE, _HEAP = b"\x89HDF\r\n\x1a\n", b"GCOL"
_HEADER = struct.Struct("<4sB3xQ")  # of a heap: signature, version, bytes
_OBJECT = struct.Struct("<HH4xQ")  # index (0: free space), references, bytes


def check_heaps(path: str | os.PathLike) -> None:
    """Raises ValueError naming the file if one of its heaps cannot be walked through.

    What is no HDF5 file at all is left to the library, which says so.
    """
    with open(path, "rb") as file:
        if not file.seek(0, os.SEEK_END):
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            _check_lengths(path, data)
            place = data.find(_HEAP)
            while place >= 0:
                _check_heap(path, data, place)
                place = data.find(_HEAP, place + 1)


def _check_lengths(path, data):
    """All that is common has lengths of 8 bytes, which the heaps are read by."""
    start = next((n for n in _starts(len(data)) if data[n : n + 8] == _SIGNATURE), None)
    if start is None or len(data) < start + 16:
        return
    version = data[start + 8]
    lengths = data[start + (14 if version < 2 else 10)]
    if lengths != 8:
        raise ValueError(
            f"{path}: not a readable HDF5 file: its lengths must have 8 bytes; got "
            f"{lengths}."
        )


def _starts(size):
    """Where HDF5 looks for its signature: at 0, 512, 1024, 2048 and so on."""
    yield 0
    start = 512
    while start < size:
        yield start
        start *= 2


def _check_heap(path, data, place):
    if len(data) < place + _HEADER.size:
        return
    _, version, size = _HEADER.unpack_from(data, place)
    if version != 1 or size > len(data) - place:
        return  # no heap; or one that the library itself refuses
    here, end = place + _HEADER.size, place + size
    while here + _OBJECT.size <= end:
        index, _, length = _OBJECT.unpack_from(data, here)
        step = _OBJECT.size + -(-length // 8) * 8 if index else length
        if not _OBJECT.size <= step <= end - here:
            raise ValueError(
                f"{path}: not a readable HDF5 file: the heap of texts at byte "
                f"{place} is damaged."
            )
        here += step
