"""Pictures of what a trained GPS-Net looks at: joints, channels, distances, parts."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from gpsattn_jax.data.skeletons.clips import Clips
from gpsattn_jax.data.skeletons.layout import Layout
from gpsattn_jax.models.gpsnet import skeleton_parts
from gpsattn_jax.stacks import unstack
from gpsattn_jax.systems.gpsnet.clips import clip_source, network_inputs
from gpsattn_jax.systems.reports import Drawings, examples_to_show
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.visualize import figures
from gpsattn_jax.visualize.skeletons import (
    channel_attention_figure,
    geodesic_bias_figure,
    parts_figure,
    skeleton_strip,
)

CLIPS = 6  # that are drawn
SAMPLE = 32  # clips whose channel attention is averaged
Z_UP = ("florence15",)  # its sensor's third coordinate is the height
Y_DOWN = ("mediapipe33", "hand21")  # as in the image, in three dimensions, too


def draw_attention(
    run: TrainedRun, clips: Clips, probabilities: np.ndarray
) -> Drawings:
    """Pictures of all that the network's options have; the others are left out.

    Args:
        run: a trained network.
        clips: which to draw from.
        probabilities: [n, classes], the network's for these clips.
    """
    drawings: Drawings = {}
    config = run.config.model
    chosen = examples_to_show(clips.labels, probabilities.argmax(-1), CLIPS)
    sample = np.unique(np.linspace(0, len(clips) - 1, SAMPLE).astype(int))
    together = np.concatenate([chosen, sample])  # so that one shape is compiled
    maps, inputs = attention_maps(run, clips, together)
    drawings |= _strips(clips, chosen, probabilities, maps, inputs)
    if config.block == "graph":  # which attends to nothing
        return drawings
    if config.channel_attention:
        drawings |= _channels(maps, inputs, len(chosen))
    if config.spatial_attention and config.geodesic_bias:
        blocks = unstack(run.params)["blocks"]
        biases = np.stack(
            [np.asarray(blocks[n]["spatial"]["bias"]) for n in range(len(blocks))]
        )
        drawings["Geodesic bias"] = (
            geodesic_bias_figure(biases),
            "What each head adds to the logit between two joints, by the bones between "
            "them; learned, zero at the start.",
        )
    return drawings | _parts(run, clips)


def attention_maps(
    run: TrainedRun, clips: Clips, places: np.ndarray
) -> tuple[dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """The weights of both attentions for some clips, and the clips as they went in.

    Args:
        run: a trained network.
        clips: to choose from.
        places: [k], which.

    Returns:
        ({"spatial": [blocks] of [k, M, T', N, V, V], "channel": [blocks] of
        [k, M, N, D, D]}, {"joints": [k, M, T, V, C], "mask": [k, M, T, V], "time"}).
        Attentions that the network has not are empty lists.
    """
    inputs = clip_source(run.config, clips).batch(places, None)["inputs"]
    forward = jax.jit(functools.partial(run.network.apply, attention=True))
    weights = jax.device_get((run.params, run.state))
    (_, maps), _ = forward(*weights, **network_inputs(run.config, inputs))
    return jax.device_get(maps), inputs


def attention_received(weights: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How much each joint is attended to: the mean over heads and visible joints.

    Args:
        weights: [M, T, N, V, V], or [M, 1, N, V, V] where all frames share them.
        mask: [M, T, V], False where a joint is missing.

    Returns:
        [M, T, V]; over all joints of a frame it sums to one, or zero if none is there.
    """
    asks = mask.any(1, keepdims=True) if weights.shape[1] == 1 else mask
    received = np.einsum("mtnuv,mtu->mtv", weights, asks) / weights.shape[2]
    share = received / np.maximum(asks.sum(-1, keepdims=True), 1)
    return np.broadcast_to(share, mask.shape)


def axes_to_draw(layout: Layout, dimensions: int) -> tuple[tuple[int, int], bool]:
    """The coordinates to the right and upwards, and whether the second one falls."""
    if dimensions == 3 and layout.name in Z_UP:
        return (0, 2), False
    return (0, 1), dimensions == 2 or layout.name in Y_DOWN


def _strips(clips, chosen, probabilities, maps, inputs):
    """Frames of the chosen clips; coloured by attention, if joints have one."""
    axes, y_down = axes_to_draw(clips.layout, clips.joints.shape[-1])
    drawings = {}
    for number, place in enumerate(chosen):
        mask = inputs["mask"][number]
        heat, words = None, "Frames of the clip."
        if maps["spatial"]:
            heat = attention_received(maps["spatial"][0][number], mask)
            words = (
                "Joints by the attention that they receive in the first block, whose "
                "joints are not mixed yet: the mean over heads and over those who "
                f"attend. Evenly it would be {1 / mask.shape[-1]:.3f}."
            )
        figure = skeleton_strip(
            inputs["joints"][number],
            clips.layout.edges,
            weights=heat,
            mask=mask,
            titles=_frame_titles(clips, place, mask.shape[1]),
            axes=axes,
            y_down=y_down,
        )
        title = _clip_title(clips, place, probabilities[place])
        figure.suptitle(title, fontsize=10, color=figures.INK)
        drawings[f"Clip {number + 1}: {title}"] = figure, words
    return drawings


def _channels(maps, inputs, first):
    """A picture for each block, the mean over clips from `first` on, and persons."""
    persons = inputs["mask"][first:].any((2, 3))
    drawings = {}
    for block, weights in enumerate(maps["channel"]):
        drawings[f"Channel attention, block {block}"] = (
            channel_attention_figure(weights[first:][persons].mean(0)),
            "How much each channel of a head takes from each other one, the mean over "
            f"{len(persons)} test clips.",
        )
    return drawings


def _parts(run, clips):
    """The structural positions, if an attention uses them."""
    config, layout = run.config.model, clips.layout
    parts = skeleton_parts(config)
    # At the start of most actions people stand.
    whole = clips.offsets[np.flatnonzero(clips.mask[clips.offsets[:-1], 0].all(-1))]
    attends = config.spatial_attention or config.channel_attention
    if parts is None or not attends or not len(whole):
        return {}
    axes, y_down = axes_to_draw(layout, clips.joints.shape[-1])
    figure = parts_figure(
        _open(clips.joints[whole, 0], list(axes)),
        layout.edges,
        parts,
        list(_part_names(config, layout, parts)),
        axes=axes,
        y_down=y_down,
    )
    words = "Joints of a colour share one structural code"
    if config.partition == "shell":
        words += f": they are equally far from {layout.joints[config.root]}"
    return {"Parts": (figure, f"{words}.")}


def _part_names(config: Any, layout: Layout, parts: np.ndarray) -> Iterator[str]:
    kind = config.partition
    for part in range(parts.max() + 1):
        if kind == "shell":
            yield f"{part} bone{'s' * (part != 1)} away"
        elif kind == "voronoi":
            yield f"near {layout.joints[config.anchors[part]]}"
        else:
            yield layout.joints[part]


def _open(skeletons, axes):
    """Of frames [n, V, C] the one whose nearest two joints are the farthest apart."""
    flat = skeletons[..., axes]
    gaps = np.linalg.norm(flat[:, :, None] - flat[:, None], axis=-1)
    joints = np.arange(flat.shape[1])
    gaps[:, joints, joints] = np.inf
    sizes = np.linalg.norm(np.ptp(flat, axis=1), axis=-1)
    return skeletons[(gaps.min((1, 2)) / np.maximum(sizes, 1e-9)).argmax()]


def _frame_titles(clips, place, count):
    """The clip's own numbers of the frames that it was resized to."""
    length = int(clips.offsets[place + 1] - clips.offsets[place])
    numbers = np.rint(np.linspace(0, length - 1, count)).astype(int)
    return [f"frame {number}" for number in numbers]


def _clip_title(clips, place, shares):
    names, label, best = clips.class_names, clips.labels[place], shares.argmax()
    result = "recognised" if label == best else f"taken for {names[best]}"
    return f"{names[label]}, {result} ({100 * shares[best]:.0f} %)"
