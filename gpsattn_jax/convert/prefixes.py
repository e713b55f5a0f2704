"""What stands before the names of a network's weights in others' files.

Wrappers and larger networks add it: `module.` by DataParallel, `_orig_mod.` by
torch.compile, `model.` by Lightning, `backbone.` by detectors.
"""

import re
from collections.abc import Sequence

import numpy as np

from gpsattn_jax.convert.torch_keys import ConversionError

Arrays = dict[str, np.ndarray]

# Names that each network has once, by system; the first that a file has is looked at.
ANCHORS: dict[str, Sequence[str]] = {
    "efficientnet_lite0": (r"_conv_stem\.weight", r"_fc\.weight"),
    "gsa_module": (r"to_qkv\.weight", r"to_out\.weight"),
    "gsanet": (r"layer1\.0\.conv1\.weight", r"layer2\.0\.conv1\.weight"),
    # A part of PGL-SUM is a network, too, and its names begin later.
    "pglsum": (
        r"attention\.attention\.W[qkv]\.0\.weight",
        r"linear_1\.weight",
        r"attention\.W[qkv]\.0\.weight",
        r"(?<!local_attention\.\d\.)W[qkv]\.0\.weight",
    ),
    # Segmenters have their backbone below a name of their own, which stays.
    "segmentation": (
        r"backbone\.patch_embed\.proj\.conv\.weight",
        r"backbone\.layer1\.0\.conv1\.weight",
        r"patch_embed\.proj\.conv\.weight",
        r"layer1\.0\.conv1\.weight",
    ),
    "transxnet": (
        r"patch_embed\.proj\.conv\.weight",
        r"network\.0\.0\.pos_embed\.weight",
    ),
}
# What mmsegmentation's and mmdetection's files have beside `backbone.`.
NEIGHBOURS = (
    "neck.", "decode_head.", "auxiliary_head.", "rpn_head.", "roi_head.", "bbox_head.",
    "mask_head.", "data_preprocessor.",
)  # fmt: skip
# These go from every name if all have them, where no anchor is found.
WRAPPERS = ("module.", "model.", "backbone.", "net.")


def without_prefix(arrays: Arrays, system: str) -> tuple[Arrays, str]:
    """Names as the system's original has them, and the prefix that was before them.

    Args:
        arrays: by the names in a file.
        system: a key of `convert.SYSTEMS`.

    Raises:
        ConversionError: if there are several such networks in the file.
    """
    # What torch.compile adds may stand in the middle, before a compiled part.
    arrays = {name.replace("_orig_mod.", ""): array for name, array in arrays.items()}
    for anchor in ANCHORS.get(system, ()):
        found = _prefixes(arrays, anchor)
        if "" in found:
            return arrays, ""
        if len(found) > 1:
            raise ConversionError(
                [
                    f"ambiguous: the network is there as {name}*"
                    for name in sorted(found)
                ]
            )
        if found:
            return _stripped(arrays, found.pop())
    for wrapper in WRAPPERS:
        if arrays and all(name.startswith(wrapper) for name in arrays):
            rest, prefix = without_prefix(_stripped(arrays, wrapper)[0], system)
            return rest, wrapper + prefix
    return arrays, ""


def without_neighbours(arrays: Arrays, prefix: str) -> Arrays:
    """A backbone's names without those of what stood beside it; says what they were.

    Args:
        arrays: as from `without_prefix`.
        prefix: likewise.
    """
    outer = prefix.removesuffix("backbone.")
    if outer == prefix:
        return arrays
    beside = tuple(outer + name for name in NEIGHBOURS)
    left_out = {name for name in arrays if name.startswith(beside)}
    if left_out:
        parts = sorted({name.removeprefix(outer).split(".")[0] for name in left_out})
        print(f"Left out: {', '.join(f'{part}.*' for part in parts)}.")
    return {name: array for name, array in arrays.items() if name not in left_out}


def _prefixes(arrays, anchor):
    """What stands before the anchor: nothing, or parts with a dot behind each."""
    pattern = re.compile(rf"((?:[^.]+\.)*?){anchor}")
    matches = (pattern.fullmatch(name) for name in arrays)
    return {match[1] for match in matches if match}


def _stripped(arrays, prefix):
    """Without the prefix; what lacks it keeps its name, if that is still free."""
    inside = {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    outside = {
        f"{name} (not below {prefix[:-1]})" if name in inside else name: array
        for name, array in arrays.items()
        if not name.startswith(prefix)
    }
    return inside | outside, prefix
