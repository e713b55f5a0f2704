"""Weights from elsewhere: PyTorch state dicts and portable files -> our networks."""

from collections.abc import Callable, Mapping
from typing import Any

from gpsattn_jax.convert import (
    efficientnet_lite,
    gpsnet,
    gsanet,
    pglsum,
    semantic_fpn,
    transxnet,
)
from gpsattn_jax.convert.files import Source, read, save, save_named
from gpsattn_jax.convert.graft import graft
from gpsattn_jax.convert.hints import unmatched_names, with_names_of_the_file
from gpsattn_jax.convert.prefixes import without_neighbours, without_prefix
from gpsattn_jax.convert.torch_keys import ConversionError, is_ours
from gpsattn_jax.modules.functional import Functional

__all__ = ["ConversionError", "graft", "load", "save", "save_torch"]

Loaded = tuple[Functional, dict, dict]

SYSTEMS: dict[str, Callable[..., Loaded]] = {
    "efficientnet_lite0": efficientnet_lite.load_network,
    "gpsnet": gpsnet.load_network,
    "gsa_module": gsanet.load_module,
    "gsanet": gsanet.load_network,
    "pglsum": pglsum.load_network,
    "segmentation": semantic_fpn.load_network,
    "transxnet": transxnet.load_network,
}

# Whose original takes our weights back: (config, params, state) -> arrays by its names.
ORIGINALS: dict[str, Callable[[Any, dict, dict], dict[str, Any]]] = {
    "pglsum": pglsum.to_torch,
    "transxnet": transxnet.to_torch,
}


def load(
    system: str,
    source: Source | Mapping[str, Any],
    *,
    strict: bool = True,
    **options: Any,
) -> Loaded:
    """Loads weights and builds the network they fill.

    * `load("gsa_module", source, num_heads=8, query_softmax=False)`: a state dict of
      the public PyTorch GSA module; the network maps x [B, H, W, C] to [B, H, W, C'].
    * `load("gsanet", source, config=None)`: a GSA-ResNet saved with `save`; the config
      comes from the file unless given. Or a state dict of torchvision's or timm's
      ResNet-50, 101, … for the plain twin. See `convert.gsanet.load_network`.
    * `load("gpsnet", source)`: a GPS-Net saved with `save` and its config; there is no
      original whose weights could be read.
    * `load("pglsum", source, fusion="add", position="absolute")`: the official state
      dict of PGL-SUM, or of one of its attention blocks; what is not in its shapes can
      be given, see `convert.pglsum.load_network`.
    * `load("efficientnet_lite0", source, features_only=True)`: PyTorch's file of that
      network, which turns video frames into features.
    * `load("transxnet", source, num_classes=…)`: an official checkpoint of TransXNet;
      what is not in its shapes can be given, see `convert.transxnet.load_network`.

    * `load("segmentation", source, headless=False)`: mmsegmentation's Semantic FPN over
      TransXNet or a ResNet; with `headless` a backbone alone, of a classifier's file or
      of mmsegmentation's and mmdetection's, under a fresh pyramid and head.

    All also take what `save` wrote. Of the two image classifiers, `num_classes=0`
    gives features [B, C], `features_only=True` the stages' maps, and `in_channels`
    another stem; `headless=True` takes weights without a head.

    Args:
        system: a key of `SYSTEMS`.
        source: a path (PyTorch's files, `.npz`, `.safetensors`, known by content) or a
            mapping from names to arrays. Nothing is unpickled freely. What stands
            before all names, such as `module.` or `backbone.`, is left out.
        strict: refuse names that the network does not have, such as `aux_head.*`; if
            False they are listed and skipped.
        **options: see above.

    Returns:
        (network, params, state).

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key at once.
        ValueError: for an unknown system, an unreadable file, or other options.
        FileNotFoundError: if the file is not there.
    """
    if system not in SYSTEMS:
        raise ValueError(f"system must be one of {', '.join(SYSTEMS)}; got {system!r}.")
    where = "" if isinstance(source, Mapping) else str(source)
    arrays, metadata = read(source)
    try:
        if not is_ours(arrays):
            arrays = without_neighbours(*without_prefix(arrays, system))
        try:
            return SYSTEMS[system](arrays, metadata, **options)
        except ConversionError as error:
            extras = unmatched_names(error.complaints, arrays)
            if strict or not extras:
                raise
            print(f"{where or 'The mapping'}: skipped {', '.join(extras)}.")
            rest = {n: array for n, array in arrays.items() if n not in set(extras)}
            return SYSTEMS[system](rest, metadata, **options)
    except ConversionError as error:
        raise with_names_of_the_file(error, arrays, where) from None
    except ValueError as error:
        if not where:
            raise
        raise ValueError(f"{where}: {error}") from error


def save_torch(
    path: Source, system: str, config: Any, params: dict, state: dict
) -> None:
    """Writes weights as the original PyTorch model's `load_state_dict` takes them.

    What `load` makes of the file are the same params and state, bit by bit. Batch
    norms' counters, which ours have not, start at zero.

    Args:
        path: a `.pth`, `.pt`, `.pkl`, `.tar` (these need torch), `.npz` or
            `.safetensors`; it appears whole or not at all.
        system: a key of `ORIGINALS`.
        config: what the network was built from.
        params: its parameters.
        state: its batch statistics.

    Raises:
        ImportError: for a PyTorch file without torch.
        ValueError: for another system or suffix.
    """
    if system not in ORIGINALS:
        raise ValueError(
            f"system must be one of {', '.join(ORIGINALS)}, which have names in "
            f"PyTorch; got {system!r}."
        )
    save_named(path, ORIGINALS[system](config, params, state))
