"""GPS-Net weights: our own files. The original code is not public, so no other fits."""

import numpy as np

from gpsattn_jax.convert.saved import load_saved
from gpsattn_jax.convert.torch_keys import is_ours
from gpsattn_jax.models import gpsnet
from gpsattn_jax.modules.functional import Functional


def load_network(
    arrays: dict[str, np.ndarray], metadata: dict[str, str]
) -> tuple[Functional, dict, dict]:
    """A GPS-Net saved with `convert.save(path, params, state, config)`.

    Args:
        arrays: by name.
        metadata: of the file; its config tells skeleton, classes and options.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if the names are not ours, or the file carries no config.
    """
    if not is_ours(arrays):
        foreign = [n for n in arrays if not n.startswith(("params/", "state/"))]
        raise ValueError(
            "GPS-Net's original weights and code are not public; weights must be "
            "named params/… and state/…, as convert.save writes them; "
            f"got {foreign[0] if foreign else 'none'}."
        )
    return load_saved(gpsnet.build, gpsnet.Config, arrays, metadata)[1:]
