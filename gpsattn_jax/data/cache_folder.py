"""Where results are kept between runs, and the names that change with their input."""

import hashlib
import json
import os
import pathlib
from typing import Any, Protocol


class Stamps(Protocol):
    """Items by place, each with a stamp, as a `ByteStore` has them."""

    def __len__(self) -> int:
        """How many items."""

    def stamp(self, place: int) -> list[Any]:
        """What changes when the item does; to be kept as JSON."""


def default_folder() -> pathlib.Path:
    """`$GPSATTN_CACHE_DIR`, or `~/.cache/gpsattn_jax`."""
    chosen = os.environ.get("GPSATTN_CACHE_DIR")
    return pathlib.Path(chosen or pathlib.Path.home() / ".cache" / "gpsattn_jax")


def fingerprint(store: Stamps, *settings: object) -> str:
    """20 hexadecimal digits that change with any item of a store, and any setting."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for place in range(len(store)):
        digest.update(json.dumps(store.stamp(place)).encode())
    return digest.hexdigest()[:20]
