"""Finds the files of a set that are no readable images, and remembers them."""

import json
import os
import pathlib
import sys

import numpy as np

from gpsattn_jax.data.fingerprints import fingerprint
from gpsattn_jax.data.images.files import ImageFiles
from gpsattn_jax.data.threads import in_threads
from gpsattn_jax.files import cache_folder, replaced
from gpsattn_jax.progress import with_progress

_VERSION = 2  # of what counts as readable; another one checks all files again


def without_bad(
    images: ImageFiles, folder: str | os.PathLike | None = None
) -> ImageFiles:
    """Leaves out the files that cannot be decoded, and says how many and which.

    Every file is decoded once; what was found is kept for the next time and holds as
    long as no file changes.

    Args:
        images: the set.
        folder: where the result is kept; `$GPSATTN_CACHE_DIR` or `~/.cache/gpsattn_jax`
            by default.

    Returns:
        The set itself, or what is left of it.

    Raises:
        ValueError: if nothing is left.
    """
    mark = fingerprint(images.store, _VERSION, images.crop.most_pixels)
    kept = pathlib.Path(folder or cache_folder()) / f"checked-{mark}.json"
    bad = _recall(kept)
    if bad is None:
        bad = _find_bad(images)
        with replaced(kept) as path:
            path.write_text(json.dumps(bad))
    if not bad:
        return images
    first = "".join(f"\n  {reason}" for reason in list(bad.values())[:3])
    print(
        f"{len(bad)} of {len(images)} files left out:{first}"
        + (f"\n  and {len(bad) - 3} more in {kept}" if len(bad) > 3 else ""),
        file=sys.stderr,
    )
    if len(bad) == len(images):
        raise ValueError(f"None of the {len(images)} files is a readable image:{first}")
    return images.take(np.delete(np.arange(len(images)), [int(place) for place in bad]))


def _recall(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _find_bad(images):
    """{place as text: reason}."""

    def check(place):
        try:
            images.image(place)
        except ValueError as error:
            return str(error)

    reasons = in_threads(check, range(len(images)), images.threads)
    reasons = with_progress(reasons, len(images), "Checking images")
    return {str(place): reason for place, reason in enumerate(reasons) if reason}
