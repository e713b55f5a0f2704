"""The renaming table of TransXNet's official names, in both directions.

Each function takes the prefix of a part there and its path here.
"""

import dataclasses
import functools
import itertools

import numpy as np

from gpsattn_jax.convert.torch_keys import Rule
from gpsattn_jax.models import transxnet
from gpsattn_jax.modules.feedforward import KERNEL_SIZES, branch_widths

Rules = list[Rule]


def network_rules(config: transxnet.Config) -> Rules:
    """Every name that the official network of this config has, in its order."""
    rules = patch_embed_rules("patch_embed.", "stem/")
    for stage, depth in enumerate(config.depths):
        here = f"stages/{stage}/"
        rules.append(table_rule(f"relative_pos_enc.{stage}", here))
        for block in range(depth):
            names = f"network.{2 * stage}.{block}.", f"{here}blocks/{block}/"
            rules += block_rules(
                *names,
                norm=config.norm,
                reduces=config.reductions[stage] > 1,
                scales=config.layer_scale is not None,
            )
        if stage + 1 < len(config.depths):
            names = f"network.{2 * stage + 1}.", f"downsamples/{stage}/"
            rules += patch_embed_rules(*names)
        if config.features_only:
            rules += norm_rules(f"norm{2 * stage}.", f"feature_norms/{stage}/", "group")
    if not config.features_only:
        rules += norm_rules("classifier.0.", "norm/", "group")
        rules += linear_rules("classifier.2.", "head/") if config.num_classes else []
    return rules


def block_rules(
    theirs: str, ours: str, *, norm: str = "group", reduces: bool, scales: bool = True
) -> Rules:
    """One block.

    Args:
        theirs: prefix of its names.
        ours: prefix of its paths.
        norm: "group" or "batch".
        reduces: whether the attention's map is reduced.
        scales: whether there are layer scales.
    """
    mixer = f"{theirs}token_mixer.", f"{ours}mixer/"
    rules = [
        *depthwise_rules(f"{theirs}pos_embed.", f"{ours}place/"),
        *norm_rules(f"{theirs}norm1.", f"{ours}mixer_norm/", norm),
        *mixer_rules(*mixer, reduces=reduces),
        *norm_rules(f"{theirs}norm2.", f"{ours}feedforward_norm/", norm),
        *feedforward_rules(f"{theirs}mlp.", f"{ours}feedforward/"),
    ]
    if scales:
        for number, part in enumerate(("mixer", "feedforward"), start=1):
            names = f"{theirs}layer_scale_{number}.", f"{ours}{part}_scale/"
            rules += layer_scale_rules(*names)
    return rules


def mixer_rules(theirs: str, ours: str, *, reduces: bool) -> Rules:
    """The dual mixer: both halves, and what joins them.

    Args:
        theirs: what the names of the official arrays begin with.
        ours: what our paths begin with.
        reduces: whether the attention's keys are reduced.
    """
    enhance = f"{ours}enhance/"
    attention = f"{theirs}global_unit.", f"{ours}attention/"
    return [
        *dynamic_conv_rules(f"{theirs}local_unit.", f"{ours}local/"),
        *attention_rules(*attention, reduces=reduces),
        *depthwise_rules(f"{theirs}proj.0.", f"{enhance}conv/"),
        *norm_rules(f"{theirs}proj.2.", f"{enhance}conv_norm/"),
        *linear_rules(f"{theirs}proj.3.", f"{enhance}squeeze/"),
        *norm_rules(f"{theirs}proj.5.", f"{enhance}squeeze_norm/"),
        *linear_rules(f"{theirs}proj.6.", f"{enhance}expand/"),
        *norm_rules(f"{theirs}proj.7.", f"{enhance}expand_norm/"),
    ]


def dynamic_conv_rules(theirs: str, ours: str) -> Rules:
    """The input-dependent convolution."""
    groups = functools.partial(np.transpose, axes=(2, 3, 0, 1))
    return [
        # [G, C, K, K] <-> [K, K, G, C]
        Rule(f"{theirs}weight", f"params/{ours}kernels", groups, groups),
        Rule(f"{theirs}bias", f"params/{ours}bias"),
        *linear_rules(f"{theirs}proj.0.conv.", f"{ours}reduce/", bias=False),
        *norm_rules(f"{theirs}proj.0.bn.", f"{ours}norm/"),
        *linear_rules(f"{theirs}proj.1.", f"{ours}gate/"),
    ]


def attention_rules(theirs: str, ours: str, *, reduces: bool) -> Rules:
    """The reduced attention.

    Args:
        theirs: what the names of the official arrays begin with.
        ours: what our paths begin with.
        reduces: whether its keys are reduced.
    """
    rules = [
        *linear_rules(f"{theirs}q.", f"{ours}query/"),
        *linear_rules(f"{theirs}kv.", f"{ours}key_value/"),
    ]
    for number, part in enumerate(("conv", "scale") if reduces else ()):
        names = f"{theirs}sr.{number}.", f"{ours}reduce/{part}"
        rules += depthwise_rules(f"{names[0]}conv.", f"{names[1]}/", bias=False)
        rules += norm_rules(f"{names[0]}bn.", f"{names[1]}_norm/")
    return [*rules, *depthwise_rules(f"{theirs}local_conv.", f"{ours}refine/")]


def feedforward_rules(theirs: str, ours: str) -> Rules:
    """The multi-scale feed-forward net, whose four branches are side by side there."""
    rules = norm_rules(f"{theirs}fc2.1.", f"{ours}norm/")
    for number in range(len(KERNEL_SIZES)):
        branch = f"{ours}branches/{number}/"
        part = functools.partial(_part, number=number)
        whole = [
            *linear_rules(f"{theirs}fc1.0.", f"{branch}expand/", bias=False),
            *norm_rules(f"{theirs}fc1.2.", f"{branch}expand_norm/"),
            *norm_rules(f"{theirs}norm.", f"{branch}conv_norm/"),
        ]
        project = linear_rules(f"{theirs}fc2.0.", f"{branch}project/", bias=False)
        rules += [part(rule, axis=0) for rule in whole]
        rules += [part(rule, axis=1) for rule in project]
        names = f"{theirs}dwconv.proj.{number}.", f"{branch}conv/"
        rules += depthwise_rules(*names)
    return rules


def _part(rule, *, number, axis):
    """The rule for one branch's part of an array, cut along an axis of theirs."""

    def change(array):
        ends = itertools.accumulate(branch_widths(array.shape[axis]))
        return rule.change(np.split(array, list(ends)[:-1], axis)[number])

    return dataclasses.replace(rule, change=change, axis=axis)


def patch_embed_rules(theirs: str, ours: str) -> Rules:
    """A strided convolution and its norm."""
    # [C', C, K, K] <-> [K, K, C, C']
    forth = functools.partial(np.transpose, axes=(2, 3, 1, 0))
    back = functools.partial(np.transpose, axes=(3, 2, 0, 1))
    name, path = f"{theirs}proj.conv.weight", f"params/{ours}conv/kernel"
    norm = f"{theirs}proj.bn.", f"{ours}norm/"
    return [Rule(name, path, forth, back), *norm_rules(*norm)]


def depthwise_rules(theirs: str, ours: str, *, bias: bool = True) -> Rules:
    """A depthwise convolution.

    Args:
        theirs: what the names of the official arrays begin with.
        ours: what our paths begin with.
        bias: whether it has one.
    """

    def forth(weight):  # [C, 1, K, K] -> [K, K, C]
        if weight.shape[1:2] != (1,):
            raise ValueError("must be [C, 1, K, K]")
        return weight[:, 0].transpose(1, 2, 0)

    def back(kernel):
        return kernel.transpose(2, 0, 1)[:, None]

    return _weight_and_bias(theirs, ours, forth, back, bias)


def layer_scale_rules(theirs: str, ours: str) -> Rules:
    """A layer scale: [C, 1, 1, 1] <-> [1, 1, C]."""
    weight, bias = depthwise_rules(theirs, ours)
    return [dataclasses.replace(weight, path=f"params/{ours}factor"), bias]


def linear_rules(theirs: str, ours: str, *, bias: bool = True) -> Rules:
    """A 1x1 convolution there, a matrix here.

    Args:
        theirs: what the names of the official arrays begin with.
        ours: what our paths begin with.
        bias: whether it has one.
    """

    def forth(weight):  # [C', C, 1, 1] -> [C, C']
        if weight.shape[2:] != (1, 1):
            raise ValueError("must be [C', C, 1, 1]")
        return weight[..., 0, 0].T

    def back(kernel):
        return kernel.T[..., None, None]

    return _weight_and_bias(theirs, ours, forth, back, bias)


def norm_rules(theirs: str, ours: str, kind: str = "batch") -> Rules:
    """A norm; batch norms have running statistics.

    Args:
        theirs: what the names of the official arrays begin with.
        ours: what our paths begin with.
        kind: "batch" or "group".
    """
    rules = [
        Rule(f"{theirs}weight", f"params/{ours}scale"),
        Rule(f"{theirs}bias", f"params/{ours}bias"),
    ]
    if kind == "batch":
        rules += [
            Rule(f"{theirs}running_mean", f"state/{ours}mean"),
            Rule(f"{theirs}running_var", f"state/{ours}var"),
            Rule(f"{theirs}num_batches_tracked", None),
        ]
    return rules


def table_rule(name: str, ours: str) -> Rule:
    """A stage's table of positions: [1, N, T, S] <-> [N, T, S]."""

    def forth(table):
        if table.shape[:1] != (1,):
            raise ValueError("must be [1, N, T, S]")
        return table[0]

    return Rule(name, f"params/{ours}position", forth, lambda table: table[None])


def _weight_and_bias(theirs, ours, forth, back, bias):
    rules = [Rule(f"{theirs}weight", f"params/{ours}kernel", forth, back)]
    if bias:
        rules.append(Rule(f"{theirs}bias", f"params/{ours}bias"))
    return rules
