"""GSA weights: the public PyTorch module's names, and our own files."""

import functools
import json

import numpy as np
from flax import nnx

from gpsattn_jax.configs import from_dict
from gpsattn_jax.convert.torch_keys import ConversionError, Rule, fill, is_ours, rename
from gpsattn_jax.models import gsanet
from gpsattn_jax.modules.functional import Functional
from gpsattn_jax.modules.global_self_attention import GlobalSelfAttention


def load_module(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    num_heads: int = 8,
    query_softmax: bool = False,
) -> tuple[Functional, dict, dict]:
    """A state dict of lucidrains' GSA module, or our own -> (network, params, state).

    Sizes come from the shapes; the number of heads and the query softmax leave no trace
    in the weights and must be given.

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
    """
    del metadata
    complaints: list[str] = []
    if not is_ours(arrays):
        arrays, complaints = rename(arrays, module_rules(num_heads))
    options = infer_module(arrays, complaints)
    make = functools.partial(_make_module, options | {"query_softmax": query_softmax})
    network = Functional(make)
    return network, *fill(network, arrays, complaints)


def module_rules(num_heads: int) -> tuple[Rule, ...]:
    """The renaming table of the public module, a PyTorch [out, in, 1, 1] world."""

    def third(index):
        def change(weight):
            if weight.ndim != 4 or weight.shape[0] % (3 * num_heads):
                raise ValueError(
                    "must be [3 * num_heads * dim_key, C, 1, 1] with "
                    f"num_heads={num_heads}"
                )
            weight = weight[..., 0, 0].reshape(3, num_heads, -1, weight.shape[1])
            return weight[index].transpose(2, 0, 1)  # [N, D, C] -> [C, N, D]

        return change

    def projection(weight):
        if weight.ndim != 4 or weight.shape[1] % num_heads:
            raise ValueError(
                f"must be [C, num_heads * dim_key, 1, 1] with num_heads={num_heads}"
            )
        return weight[..., 0, 0].T.reshape(num_heads, -1, weight.shape[0])

    return (
        Rule(r"to_qkv\.weight", "params/query/kernel", third(0)),
        Rule(r"to_qkv\.weight", "params/key/kernel", third(1)),
        Rule(r"to_qkv\.weight", "params/value/kernel", third(2)),
        Rule(r"to_out\.weight", "params/out/kernel", projection),
        Rule(r"to_out\.bias", "params/out/bias"),
        # Named by what they hold: the public `rel_rows` serves the first stage, which
        # mixes the rows of one column; that is the paper's column table.
        Rule(r"rel_rows", "params/column_table"),
        Rule(r"rel_columns", "params/row_table"),
        Rule(r"norm\.weight", "params/norm/scale"),
        Rule(r"norm\.bias", "params/norm/bias"),
        Rule(r"norm\.running_(mean|var)", r"state/norm/\1"),
        Rule(r"norm\.num_batches_tracked", None),
    )


def infer_module(arrays: dict[str, np.ndarray], complaints: list[str]) -> dict:
    """The module's arguments from its arrays.

    Raises:
        ConversionError: if the arrays that tell them are not there.
    """

    def shape(path, rank):
        array = arrays.get(f"params/{path}")
        return array.shape if array is not None and array.ndim == rank else None

    query, value = shape("query/kernel", 3), shape("value/kernel", 3)
    if query is None or value is None:
        lines = "\n  ".join([*complaints, "missing: the query, key, value projections"])
        raise ConversionError(f"These are no weights of a GSA module:\n  {lines}")
    channels, num_heads, key_dim = query
    value_dim = value[2]
    out, norm = shape("out/kernel", 3), shape("norm/scale", 1)
    tables = [shape("column_table", 2), shape("row_table", 2)]
    rows = [table[0] for table in tables if table is not None]
    return {
        "channels": channels,
        "key_channels": num_heads * key_dim,
        "value_channels": num_heads * value_dim,
        "num_heads": num_heads,
        "window": (rows[0] + 1) // 2 if rows else 1,
        "content": "params/key/kernel" in arrays,
        "column": "params/column_table" in arrays,
        "row": "params/row_table" in arrays,
        "norm": "none"
        if norm is None
        else "head"
        if norm[0] == value_dim
        else "channel",
        "out_channels": None if out is None else out[2],
    }


def load_network(
    arrays: dict[str, np.ndarray],
    metadata: dict[str, str],
    *,
    config: gsanet.Config | None = None,
) -> tuple[Functional, dict, dict]:
    """A GSA-ResNet that `convert.save` wrote -> (network, params, state).

    Raises:
        ConversionError: lists every unmatched, missing and misshapen key.
        ValueError: if neither the file nor the caller gives the config.
    """
    if config is None:
        if "config" not in metadata:
            raise ValueError(
                "These weights carry no config; pass config=gsanet.Config(…), or save "
                "them with convert.save(path, params, state, config)."
            )
        config = from_dict(gsanet.Config, json.loads(metadata["config"]))
    network = gsanet.build(config)
    return network, *fill(network, arrays)


def _make_module(options: dict, rngs: nnx.Rngs) -> GlobalSelfAttention:
    return GlobalSelfAttention(**options, rngs=rngs)
