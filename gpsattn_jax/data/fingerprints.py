"""Names of kept results, which change with their input."""

import hashlib
import json
from typing import Any, Protocol


class Stamps(Protocol):
    """Items by place, each with a stamp, as a `ByteStore` has them."""

    def __len__(self) -> int:
        """How many items."""

    def stamp(self, place: int) -> list[Any]:
        """What changes when the item does; to be kept as JSON."""


def fingerprint(store: Stamps, *settings: object) -> str:
    """20 hexadecimal digits that change with any item of a store, and any setting."""
    digest = hashlib.sha256(json.dumps(settings).encode())
    for place in range(len(store)):
        digest.update(json.dumps(store.stamp(place)).encode())
    return digest.hexdigest()[:20]
