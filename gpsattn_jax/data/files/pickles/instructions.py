"""The instructions of a pickle, one after the other, with what each brings along."""

import codecs
import io
import pickletools
from collections.abc import Iterator
from typing import Any

from gpsattn_jax.data.files.pickles.parts import check

_CODES = {code.code.encode("latin-1"): code for code in pickletools.opcodes}


def instructions(file: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """(name, argument) of each instruction; the file is left behind it."""
    while byte := file.read(1):
        code = _CODES.get(byte)
        if code is None:
            raise ValueError(f"the pickle instruction {byte!r} is unknown")
        if code.name == "STRING":
            yield code.name, _old_text(file)
        else:
            yield code.name, code.arg.reader(file) if code.arg else None  # type: ignore[call-arg]


def _old_text(file):
    """A text of Python 2 between quotes; it may be bytes, which Latin-1 keeps."""
    line = file.readline().rstrip(b"\r\n")
    check(len(line) > 1 and line[:1] == line[-1:] and line[:1] in b"'\"", "bad quotes")
    return codecs.escape_decode(line[1:-1])[0].decode("latin-1")  # type: ignore[attr-defined]
