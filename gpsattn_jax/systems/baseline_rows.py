"""Rows of plain classifiers beside a network's: kept, since they take minutes."""

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gpsattn_jax.files import replaced
from gpsattn_jax.systems.named_networks import results_folder

Rows = dict[str, Any]  # by title: a figure, or figures by their name

FILE = "baselines.json"  # in a workdir
_VERSION = 1  # of what baselines compute; another one computes them all again


def kept_rows(
    workdir: str | os.PathLike, mark: str, compute: Callable[[], Rows], what: str
) -> Rows:
    """Rows from a workdir's `baselines.json`, computed where it does not have them.

    A file that is damaged, in whole or in this entry, counts as none. Where it cannot
    be written the rows are computed each time.

    Args:
        workdir: of a run, or of many.
        mark: changes with all that the rows depend on; see `content_mark`.
        compute: gives the rows.
        what: the baselines' names, for the line that says what takes its time.
    """
    path = results_folder(workdir) / FILE
    kept = _read(path)
    entry = kept.get(mark)
    if isinstance(entry, dict) and entry.get("sum") == _sum(entry.get("rows")):
        return entry["rows"]
    print(f"Baselines: {what} (kept in {path}; --nobaselines for none).",
          file=sys.stderr, flush=True)  # fmt: skip
    rows = compute()
    try:
        with replaced(path) as partial:
            entries = kept | {mark: {"rows": rows, "sum": _sum(rows)}}
            partial.write_text(json.dumps(entries, indent=1) + "\n")
    except OSError as error:
        print(f"{path} cannot be written: {error.strerror}.", file=sys.stderr)
    return rows


def content_mark(*content: Any) -> str:
    """20 hexadecimal digits that change with arrays, texts, numbers, and scikit-learn.

    Args:
        *content: arrays, None, or what `repr` tells apart.
    """
    digest = hashlib.sha256(f"{_VERSION} {_library()}".encode())
    for part in content:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.shape} {part.dtype}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()[:20]


def _library():
    try:
        return importlib.metadata.version("scikit-learn")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(path):
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _sum(rows):
    """Of an entry's rows, so that no changed digit is taken for a figure."""
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:20]
