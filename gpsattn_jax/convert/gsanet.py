"""GSA weights: the public PyTorch module's names, and our own files."""

import dataclasses
import functools
from typing import Any

import numpy as np

from gpsattn_jax.convert.heads import reshaped
from gpsattn_jax.convert.resnet import load_resnet
from gpsattn_jax.convert.saved import load_saved, saved_fields
from gpsattn_jax.convert.torch_keys import (
    ConversionError,
    Rule,
    fill,
    foreign_names,
    is_ours,
    rename,
)
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention

RESHAPING = ("num_classes", "features_only", "in_channels")


def load_module(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    num_heads: int | None = None,
    query_softmax: bool | None = None,
    norm_queries: bool | None = None,
) -> tuple[Functional, dict, dict]:
    """A state dict of lucidrains' GSA module, or our own -> (network, params, state).

    Sizes come from the shapes. Heads (8 by default) and query softmax (off by default)
    leave no trace in PyTorch's names and shapes and must be given. Our own files know
    their heads, and the softmax if saved with `config={"query_softmax": True}`.

    Args:
        arrays: by name.
        metadata: of the file.
        num_heads: see above.
        query_softmax: see above.
        norm_queries: the original's name for query_softmax, which must agree with it.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if the options contradict our own file or each other.
    """
    given = {"num_heads": num_heads, "query_softmax": query_softmax}
    given = {name: value for name, value in given.items() if value is not None}
    if is_ours(arrays):
        options = _options_of_ours(arrays, saved_fields(metadata) or {})
        for name in given.keys() & options.keys():
            if options[name] != given[name]:
                raise ValueError(
                    f"{name} is {options[name]} in these weights; got {given[name]}."
                )
        options |= given
        _check_softmax(norm_queries, options.get("query_softmax", False))
        network = Functional(functools.partial(_make_module, options))
        try:
            return network, *fill(network, arrays)
        except TypeError as error:  # an option that no module has
            raise ValueError(f"its config makes no module: {error}") from None
    _check_softmax(norm_queries, query_softmax)
    rules = module_rules(8 if num_heads is None else num_heads)
    renamed, complaints = rename(arrays, rules)
    options = _options_of_public(arrays, renamed)
    if options is None:  # without the projections there is no network to compare with
        missing = [name for name in _public_names(arrays) if name not in arrays]
        raise ConversionError([*complaints, *(f"missing: {name}" for name in missing)])
    network = Functional(functools.partial(_make_module, options | given))
    return network, *fill(network, renamed, complaints, foreign_names(rules))


def _check_softmax(norm_queries, query_softmax):
    """Nothing in the original's names and shapes says which of both it was."""
    if norm_queries is not None and bool(norm_queries) != bool(query_softmax):
        raise ValueError(
            f"query_softmax must be {bool(norm_queries)} for weights of a module with "
            f"norm_queries={norm_queries}, which a file cannot say; "
            f"got {query_softmax}."
        )


def module_rules(num_heads: int) -> tuple[Rule, ...]:
    """The renaming table of the public module, a PyTorch [out, in, 1, 1] world."""

    def third(index):
        def change(weight):
            if weight.shape[2:] != (1, 1) or weight.shape[0] % (3 * num_heads):
                raise ValueError(
                    f"must be [3 * num_heads={num_heads} * dim_key, C, 1, 1]"
                )
            weight = weight[..., 0, 0].reshape(3, num_heads, -1, weight.shape[1])
            return weight[index].transpose(2, 0, 1)  # [N, D, C] -> [C, N, D]

        return change

    def projection(weight):
        if weight.shape[2:] != (1, 1) or weight.shape[1] % num_heads:
            raise ValueError(f"must be [C, num_heads={num_heads} * dim_key, 1, 1]")
        return weight[..., 0, 0].T.reshape(num_heads, -1, weight.shape[0])

    return (
        Rule("to_qkv.weight", "params/query/kernel", third(0)),
        Rule("to_qkv.weight", "params/key/kernel", third(1)),
        Rule("to_qkv.weight", "params/value/kernel", third(2)),
        Rule("to_out.weight", "params/out/kernel", projection),
        Rule("to_out.bias", "params/out/bias"),
        # Named by what they hold: the public `rel_rows` serves the first stage, which
        # mixes the rows of one column; that is the paper's column table.
        Rule("rel_rows", "params/column_table"),
        Rule("rel_columns", "params/row_table"),
        Rule("norm.weight", "params/norm/scale"),
        Rule("norm.bias", "params/norm/bias"),
        Rule("norm.running_mean", "state/norm/mean"),
        Rule("norm.running_var", "state/norm/var"),
        Rule("norm.num_batches_tracked", None),
    )


def _public_names(arrays):
    """The names a public module must have: a part that has one name has all."""
    names = ["to_qkv.weight", "to_out.weight", "to_out.bias"]
    if any(name.startswith(("rel_", "norm.")) for name in arrays):
        names += ["rel_rows", "rel_columns"]
    if any(name.startswith("norm.") for name in arrays):
        names += [
            f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var")
        ]
    return names


def _options_of_public(arrays, renamed):
    """The module's arguments from a public state dict; None without projections."""
    if "params/value/kernel" not in renamed:
        return None
    names = _public_names(arrays)
    options = _sizes(renamed) | {"norm": "head" if "norm.weight" in names else "none"}
    position = {name: "rel_rows" in names for name in ("column", "row")}
    if options["out_channels"] is None:  # missing or misshapen: to be complained about
        options["out_channels"] = arrays.get("to_out.bias", np.empty(0)).size or 1
    return options | position


def _options_of_ours(arrays, saved):
    """The module's arguments from our own arrays and what was saved beside them."""
    if not {"params/query/kernel", "params/value/kernel"} <= arrays.keys():
        raise ConversionError(
            [f"missing: params/{name}/kernel" for name in ("query", "value")]
        )
    options = _sizes(arrays)
    norm = arrays.get("params/norm/scale")
    shared = norm is not None and norm.size == arrays["params/value/kernel"].shape[2]
    return (
        options
        | {
            "content": "params/key/kernel" in arrays,
            "column": "params/column_table" in arrays,
            "row": "params/row_table" in arrays,
            "norm": "none" if norm is None else "head" if shared else "channel",
        }
        | saved
    )


def _sizes(arrays):
    """Widths, heads, window and output width from arrays by our paths."""
    channels, num_heads, key_dim = arrays["params/query/kernel"].shape
    tables = [arrays.get(f"params/{axis}_table") for axis in ("column", "row")]
    rows = [len(table) for table in tables if table is not None]
    out = arrays.get("params/out/kernel")
    return {
        "channels": channels,
        "key_channels": num_heads * key_dim,
        "value_channels": num_heads * arrays["params/value/kernel"].shape[2],
        "num_heads": num_heads,
        "window": (rows[0] + 1) // 2 if rows else 1,
        "out_channels": None if out is None else out.shape[-1],
    }


def load_network(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    config: gsanet.Config | None = None,
    headless: bool = False,
    **options: Any,
) -> tuple[Functional, dict, dict]:
    """A GSA-ResNet that `convert.save` wrote -> (network, params, state).

    Or a ResNet of torchvision's names, for the plain twin; see `load_resnet`.

    Args:
        arrays: by name.
        metadata: of the file.
        config: of our own file, where it carries none.
        headless: whether a ResNet without a head will do; the network then gives
            features, as with `num_classes=0`. Where num_classes or features_only is
            given, the head is not needed either.
        **options: num_classes (another number starts the head afresh, 0 has none),
            features_only (the groups' maps come out), in_channels (the stem is made
            from that for three).

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if neither the file nor the caller gives the config, or for other
            options.
    """
    unknown = sorted(set(options) - set(RESHAPING))
    if unknown:
        raise ValueError(
            f"options must be among {', '.join(RESHAPING)}; got {', '.join(unknown)}."
        )
    if any(name.startswith("layer1.") for name in arrays):
        headless = headless or bool({"num_classes", "features_only"} & set(options))
        weights = load_resnet(arrays, headless=headless)
    elif config is not None:
        weights = config, *fill(gsanet.build(config), arrays)
    elif "config" not in metadata:
        raise ValueError(
            "These weights carry no config; pass config=gsanet.Config(…), or save "
            "them with convert.save(path, params, state, config)."
        )
    else:
        kind = gsanet.Config
        found, _, params, state = load_saved(gsanet.build, kind, arrays, metadata)
        weights = found, params, state
    wanted = dataclasses.replace(weights[0], **options)
    return reshaped(gsanet.build, weights[0], wanted, *weights[1:])


def _make_module(options, rngs):
    return GlobalSelfAttention(**options, rngs=rngs)
