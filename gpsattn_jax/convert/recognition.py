"""Whose network weights belong to, from the names in their file."""

import dataclasses
import os
import re

from gpsattn_jax.convert.files import read
from gpsattn_jax.convert.prefixes import ANCHORS
from gpsattn_jax.convert.saved import saved_fields
from gpsattn_jax.convert.torch_keys import is_ours
from gpsattn_jax.models import gpsnet, gsanet, pglsum, semantic_fpn, transxnet

CONFIGS: dict[str, type] = {
    "gpsnet": gpsnet.Config,
    "gsanet": gsanet.Config,
    "pglsum": pglsum.Config,
    "segmentation": semantic_fpn.Config,
    "transxnet": transxnet.Config,
}
_DECODE_HEAD = re.compile(r"(?:.*\.)?decode_head\.")


def recognize(path: str | os.PathLike) -> str:
    """The system whose weights a file holds.

    Our own files know by the fields of the config in them, others by names that one
    network alone has.

    Args:
        path: a file that `convert.load` reads.

    Returns:
        A key of `CONFIGS`.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: if it is none of weights, or nobody's or several systems' weights.
    """
    arrays, metadata = read(path)
    try:
        fields = saved_fields(metadata)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if is_ours(arrays):
        found = [name for name, kind in CONFIGS.items() if _has_all(kind, fields)]
    elif any(_DECODE_HEAD.match(name) for name in arrays):
        found = ["segmentation"]
    else:  # a backbone may be a segmenter's, and is a classifier's
        found = [
            name
            for name in CONFIGS
            if name != "segmentation" and _has_anchor(arrays, name)
        ]
    if len(found) != 1:
        raise ValueError(
            f"{path}: does not say whose weights it holds; name the system, one of "
            f"{', '.join(CONFIGS)}."
        )
    return found[0]


def _has_all(kind, fields):
    """Whether a config has these fields; a later version's may have more."""
    return bool(fields) and fields.keys() <= {f.name for f in dataclasses.fields(kind)}


def _has_anchor(arrays, system):
    anchors = ANCHORS.get(system, ())
    pattern = re.compile("|".join(rf"(?:.*\.)?{anchor}" for anchor in anchors))
    names = (name.replace("_orig_mod.", "") for name in arrays)
    return bool(anchors) and any(pattern.fullmatch(name) for name in names)
