"""GPS-Net: sizes, its invariants, every option, and a restatement in loops."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import gpsnet_restated as restated
from gpsattn_jax.data.skeletons.layouts import LAYOUTS
from gpsattn_jax.models import gpsnet
from tests.golden_pglsum import quick_jit

PARAMETERS = {"tiny": 378_904, "small": 828_352, "base": 4_056_872}

# 0 - 1 - 3 - 4, and 2 at 1: joints 0 and 2 are each other's mirror.
SMALL = gpsnet.Config(
    num_classes=3, num_joints=5, in_channels=2, edges=((0, 1), (1, 2), (1, 3), (3, 4)),
    root=1, anchors=(0, 2, 4), widths=(8,), strides=(1,), num_heads=2,
)  # fmt: skip
TWO = dataclasses.replace(SMALL, widths=(8, 12), strides=(2, 1))


def changed(config=SMALL, **options):
    return dataclasses.replace(config, **options)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def clips(*shape, seed=0):
    return numbers(*shape, seed=seed).astype(np.float32)


def shaken(config, size=0.4, seed=0):
    """A network; parameters and statistics that are all different, as float64."""
    network, generator = gpsnet.build(config), np.random.default_rng(seed)

    def draw(path, leaf):
        # Scales of norms, and temperatures, about one.
        centre = float(path[-1].key in ("scale", "temperature"))
        return generator.normal(centre, size, leaf.shape)

    params, state = network.shapes()
    params = jax.tree_util.tree_map_with_path(draw, params)
    state = jax.tree.map(lambda leaf: generator.uniform(0.5, 2, leaf.shape), state)
    return network, params, state


def narrow(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


def runner(config, size=0.4, seed=0, **options):
    """The network as a compiled function of (joints, mask, time)."""
    network, params, state = shaken(config, size, seed)
    run = quick_jit(functools.partial(network.apply, **options))
    params, state = narrow((params, state))
    return lambda *inputs: run(params, state, *inputs)[0]


def each(names, cases, slow=()):
    """Parametrizes over a table; some of its rows run under --all alone."""
    marks = {name: [pytest.mark.slow] for name in slow}
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(
                *(case if isinstance(case, tuple) else (case,)),
                id=name,
                marks=marks.get(name, ()),
            )
            for name, case in cases.items()
        ],
    )


def gap(one, other):
    return np.abs(np.asarray(one) - np.asarray(other)).max()


# Sizes.


def test_every_variant_has_a_size():
    assert set(PARAMETERS) == set(gpsnet.VARIANTS)


@pytest.mark.parametrize("name", gpsnet.VARIANTS)
def test_number_of_parameters(name):
    params, _ = gpsnet.build(gpsnet.VARIANTS[name]).shapes()
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == PARAMETERS[name]


def test_stacked_blocks_train_as_single_ones_do():
    """Where attention is asked for, blocks run one by one."""
    config = changed(widths=(8, 8, 8, 12, 12), strides=(1, 1, 2, 1, 1), drop_path=0.0)
    config = dataclasses.replace(config, dropout=0.0, channel_dropout=0.0)
    network, params, state = shaken(config, size=0.2)
    assert set(params["blocks"]) == {"0-1", "2-2", "3-3", "4-4"}
    params, state = narrow((params, state))
    inputs = clips(2, 1, 8, config.num_joints, config.in_channels)
    run = functools.partial(network.apply, train=True)
    found, after = quick_jit(run)(params, state, inputs)
    single = quick_jit(functools.partial(run, attention=True))
    (logits, maps), wanted = single(params, state, inputs)
    assert len(maps["spatial"]) == 5
    assert gap(found, logits) < 1e-4
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5)
    jax.tree.map(close, after, wanted)


def test_the_skeleton_of_the_variants_is_that_of_ntu():
    layout = LAYOUTS["ntu25"]
    for config in gpsnet.VARIANTS.values():
        assert config.num_joints == layout.num_joints
        assert set(config.edges) == set(layout.edges)
        assert config.root == layout.root
        assert set(config.anchors) == set(layout.anchors)


def test_shapes_of_maps():
    """One map for each block, head and frame; T is what is left of the strides."""
    config = gpsnet.VARIANTS["tiny"]
    network = gpsnet.build(config)
    joints = jax.ShapeDtypeStruct((2, 3, 17, 25, 3), np.float32)
    apply = functools.partial(network.apply, attention=True)
    (logits, maps), _ = jax.eval_shape(apply, *network.shapes(), joints)
    assert logits.shape == (2, 60)
    places = zip(config.widths, (17, 17, 9, 9), strict=True)
    for number, (width, frames) in enumerate(places):
        assert maps["spatial"][number].shape == (2, 3, frames, 4, 25, 25)
        assert maps["channel"][number].shape == (2, 3, 4, width // 4, width // 4)


# (a) Mirrors.


def mirrored(layout):
    """Joints in the order of the mirrored skeleton."""
    turned = np.arange(layout.num_joints)
    for left, right in layout.mirror:
        turned[left], turned[right] = right, left
    return turned


def of_layout(name, **options):
    layout = LAYOUTS[name]
    return changed(
        num_joints=layout.num_joints, edges=layout.edges, root=layout.root,
        anchors=layout.anchors, **options,
    )  # fmt: skip


MIRRORS = {
    "shell": ("ntu25", {}, True),
    "shell of bones": ("coco17", {"stream": "bone"}, True),
    "shell, shared": ("jhmdb15", {"share_time": True, "fixed_codes": True}, True),
    "no code": ("jhmdb15", {"partition": "none"}, True),
    "voronoi": ("ntu25", {"partition": "voronoi"}, False),
    "voronoi, fixed": ("jhmdb15", {"partition": "voronoi", "fixed_codes": True}, False),
    "joint": ("jhmdb15", {"partition": "joint"}, False),
}


@each("name, options, equal", MIRRORS, slow=("no code", "voronoi, fixed"))
def test_mirrored_joints(name, options, equal):
    """Left and right share a shell's code: the network cannot tell them apart."""
    network, params, state = shaken(of_layout(name, **options))
    first = params["blocks"][min(params["blocks"])]
    if "codes" in first:
        first["codes"][0] *= 5
    # The norm of the inputs knows joints by number: here it does nothing.
    norms = [*params["embedding"]["norms"].values()]
    norms += state["embedding"]["norms"].values()
    for norm in norms:
        for key, leaf in norm.items():
            norm[key] = np.full(leaf.shape, float(key in ("scale", "var")))
    run = quick_jit(functools.partial(network.apply, attention=True))
    state = narrow(state)
    turned = mirrored(LAYOUTS[name])
    joints = clips(1, 1, 4, len(turned), 2)
    (logits, maps), _ = run(narrow(params), state, joints)
    (other, of_other), _ = run(narrow(params), state, joints[..., turned, :])
    back = of_other["spatial"][0][..., turned, :][..., turned]
    if equal:
        assert gap(back, maps["spatial"][0]) < 1e-5
        assert gap(logits, other) < 1e-4
    else:
        assert gap(back, maps["spatial"][0]) > 1e-2
        assert gap(logits, other) > 1e-3


# (b) The order of frames.


@pytest.mark.parametrize("time_code", [False, True])
def test_the_order_of_frames_enters_channel_attention_by_the_time_code(time_code):
    options = {"motions": (), "temporal_conv": False, "time_code": time_code}
    run = runner(changed(**options), attention=True)
    joints = clips(2, 1, 6, 5, 2)
    (logits, maps), (moved, of_moved) = (
        run(joints),
        run(joints[:, :, [3, 1, 5, 0, 2, 4]]),
    )
    differ = gap(maps["channel"][0], of_moved["channel"][0])
    if time_code:
        assert differ > 1e-3
        assert gap(logits, moved) > 1e-3
    else:
        assert differ < 1e-5
        assert gap(logits, moved) < 1e-4


def test_time_is_where_a_frame_stands_in_its_clip():
    run, joints = runner(SMALL), clips(2, 1, 4, 5, 2)
    even = np.array([[-1, -0.5, 0, 0.5]] * 2, np.float32)
    np.testing.assert_allclose(run(joints, None, even), run(joints), rtol=1e-5)
    assert gap(run(joints, None, even * 0.5), run(joints)) > 1e-3
    blind = runner(changed(time_code=False))
    np.testing.assert_allclose(
        blind(joints, None, even * 0.5), blind(joints), rtol=1e-5
    )


# (c) Weights.


@pytest.mark.parametrize("share_time", [False, True])
def test_rows_of_weights_sum_to_one(share_time):
    run = runner(changed(TWO, share_time=share_time), attention=True)
    joints, mask = clips(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5)
    for seen in (np.ones_like(mask), mask):
        _, maps = run(joints, seen)
        for number, weights in enumerate(maps["spatial"]):
            now = seen if number == 0 else windows(seen, 2)
            now = now.any(2, keepdims=True) if share_time else now
            rows = now.any(-1)[..., None, None] * np.ones(weights.shape[3:5])
            np.testing.assert_allclose(weights.sum(-1), rows, rtol=1e-5)
            hidden = np.broadcast_to(~now[..., None, None, :], weights.shape)
            assert not np.asarray(weights)[hidden].any()
        for weights in maps["channel"]:
            np.testing.assert_allclose(
                weights.sum(-1), np.ones(weights.shape[:-1]), rtol=1e-5
            )


def some_mask(*shape, seed=1):
    """Joints missing here and there; clip 0: the second person, frame 3, joint 4."""
    mask = np.random.default_rng(seed).random(shape) > 0.25
    mask[0, 1:], mask[0, :, 3], mask[0, :, :, 4] = False, False, False
    mask[:, 0, 0] = True
    return mask


def windows(mask, stride):
    """Whether anything is seen within each `stride` frames: [B, M, T, V]."""
    starts = range(0, mask.shape[2], stride)
    return np.stack([mask[:, :, t : t + stride].any(2) for t in starts], 2)


# (d) What is not there.

# What options make of the network; each is hidden from, and trained.
OPTIONS = {
    "strides": {"widths": (8, 12), "strides": (2, 2)},
    "shared": {
        "strides": (2,), "share_time": True, "stream": "bone", "distances": True,
    },
    "parallel": {
        "order": "parallel", "stream": "joint_motion", "motions": (2,),
        "partition": "voronoi",
    },
    "without convolution": {
        "strides": (3,), "temporal_conv": False, "stream": "bone_motion",
        "partition": "joint", "geodesic_bias": False,
    },
    "distances": {
        "strides": (2,), "positions": False, "distances": True,
        "distance_motions": (1, 2), "fixed_codes": True, "time_code": False,
        "pooling": "mean_max",
    },
    "graph": {"block": "graph", "widths": (8, 12), "strides": (2, 2)},
    "codes of joints": {"code_place": "embedding", "strides": (2,)},
    "space alone": {"channel_attention": False, "code_place": "both"},
    "channels alone": {
        "spatial_attention": False, "num_heads": 4, "strides": (2,), "motions": (1, 3),
    },
}  # fmt: skip
each_option = each("options", OPTIONS, slow=("space alone", "channels alone"))
OF_THE_DATA = {"num_classes", "num_joints", "in_channels", "edges", "root", "anchors"}
DRAWN = {"attention_dropout", "dropout", "channel_dropout", "drop_path"}


def test_every_option_is_tried():
    tried = set().union(*OPTIONS.values())
    fields = {field.name for field in dataclasses.fields(gpsnet.Config)}
    assert tried == fields - OF_THE_DATA - DRAWN
    for name, choices in (
        ("stream", gpsnet.STREAMS), ("order", gpsnet.ORDERS),
        ("pooling", gpsnet.POOLINGS), ("block", gpsnet.BLOCKS),
        ("code_place", gpsnet.CODE_PLACES),
    ):  # fmt: skip
        found = {getattr(changed(**options), name) for options in OPTIONS.values()}
        assert found == set(choices)


def padded(joints, mask, garbage):
    """5 frames of 2 persons become 8 frames of 3; garbage wherever nothing is seen."""
    wider = np.zeros((2, 3, 8, 5), bool)
    wider[:, :2, :5] = mask
    filled = np.full((*wider.shape, 2), garbage, np.float32)
    filled[:, :2, :5] = np.where(mask[..., None], joints, garbage)
    return filled, wider


@each_option
def test_what_is_hidden_changes_nothing(options):
    """Frames, persons, joints: neither logits nor statistics nor gradients."""
    network, *arrays = shaken(changed(**options))
    arrays = narrow(arrays)
    joints, mask = clips(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5)
    filled, wider = padded(joints, mask, 0)
    expected = trained(network)(*arrays, filled, wider)
    assert_finite(expected)
    short, _ = quick_jit(network.apply)(*arrays, joints, mask)
    assert_near(expected[0], short, 1e-5)
    for garbage in (1e3, np.nan, np.inf):
        filled, _ = padded(joints, mask, garbage)
        found = trained(network)(*arrays, filled, wider)
        assert_near(found[:3], expected[:3], 1e-5)
        assert_near(found[3:], expected[3:], 1e-4)
        assert not np.asarray(found[4])[~wider].any()


def test_training_does_not_see_what_was_padded():
    network, *arrays = shaken(changed(**OPTIONS["distances"]))
    arrays = narrow(arrays)
    joints, mask = clips(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5)
    expected = trained(network)(*arrays, joints, mask)
    found = trained(network)(*arrays, *padded(joints, mask, 9.0))
    assert_near(found[:3], expected[:3], 1e-5)
    assert_near(found[3], expected[3], 1e-4)
    assert_near(np.asarray(found[4])[:, :2, :5], expected[4], 1e-4)


@each_option
def test_a_step_trains_every_parameter(options):
    network, params, state = shaken(changed(**options))
    params, state = narrow((params, state))
    inputs = padded(clips(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5), 0)
    run = trained(network)
    _, out, new, gradients, _ = run(params, state, *inputs)
    assert_finite(gradients)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        # A constant that is added to all of a query's logits is lost in the softmax.
        if not name.endswith("spatial/key/bias"):
            assert np.abs(leaf).max() > 1e-5, name
    size = np.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradients)))
    moved = jax.tree.map(lambda p, g: p - 1e-3 / size * g, params, gradients)
    assert jnp.square(run(moved, state, *inputs)[1]).sum() < jnp.square(out).sum()
    means = (tree["embedding"]["norms"][0]["mean"] for tree in (new, state))
    assert gap(*means) > 0


@functools.cache
def trained(network):
    """-> logits, logits in training, new state, gradients of params and of joints."""

    @quick_jit
    def run(params, state, joints, mask):
        def objective(params, joints):
            out, new = network.apply(params, state, joints, mask, train=True)
            return jnp.square(out).sum(), (out, new)

        gradient = jax.grad(objective, argnums=(0, 1), has_aux=True)
        (of_params, of_joints), (out, new) = gradient(params, joints)
        plain, _ = network.apply(params, state, joints, mask)
        return plain, out, new, of_params, of_joints

    return run


def assert_finite(tree):
    for leaf in jax.tree.leaves(tree):
        assert np.isfinite(leaf).all()


def assert_near(found, expected, tolerance):
    """As a share of each array's largest value."""
    leaves = map(jax.tree.leaves, (found, expected))
    for one, other in zip(*leaves, strict=True):
        assert gap(one, other) <= tolerance * max(1, np.abs(other).max())


def test_a_whole_mask_is_no_mask():
    network, *arrays = shaken(changed(strides=(2,), distances=True))
    step = quick_jit(functools.partial(network.apply, train=True))
    arrays, joints = narrow(arrays), clips(2, 2, 5, 5, 2)
    with_mask = step(*arrays, joints, np.ones((2, 2, 5, 5), bool))
    assert_near(step(*arrays, joints, None), with_mask, 1e-5)


def test_times_of_padded_frames_do_not_count():
    network, params, state = shaken(SMALL)
    params, state = narrow((params, state))
    joints, time = clips(1, 1, 6, 5, 2), clips(1, 6)
    mask = np.arange(6).reshape(1, 1, 6, 1) < np.full((1, 1, 1, 5), 4)

    @quick_jit
    @jax.value_and_grad
    def run(params, time):
        return jnp.square(network.apply(params, state, joints, mask, time)[0]).sum()

    expected = run(params, time)
    for garbage in (7.0, np.nan):
        padded_time = np.where(np.arange(6) < 4, time, garbage).astype(np.float32)
        assert_near(run(params, padded_time), expected, 1e-5)


def test_a_clip_of_nobody_is_finite_and_harms_no_other():
    network, *arrays = shaken(changed(**OPTIONS["shared"]))
    arrays = narrow(arrays)
    joints, mask = clips(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5)
    before = trained(network)(*arrays, *padded(joints, mask, 0))
    nobody = mask.copy()
    nobody[1] = False
    found = trained(network)(*arrays, *padded(joints, nobody, np.nan))
    assert_finite(found)
    np.testing.assert_allclose(found[0][1], arrays[0]["head"]["bias"], rtol=1e-6)
    assert_near(found[0][0], before[0][0], 1e-5)


def test_a_joint_seen_between_the_frames_that_a_stride_keeps_counts():
    run, joints = runner(changed(strides=(2,))), clips(1, 2, 4, 5, 2)
    mask = np.zeros((1, 2, 4, 5), bool)
    mask[0, 0, 0], mask[0, 1, 1, 2] = True, True
    moved = joints.copy()
    moved[0, 1, 1, 2] += 1
    assert gap(run(joints, mask), run(moved, mask)) > 1e-3


def test_neither_persons_nor_clips_mix_but_for_the_mean():
    run, joints = runner(SMALL, attention=True), clips(3, 2, 4, 5, 2)
    logits, maps = run(joints)
    swapped, of_swapped = run(joints[:, ::-1])
    np.testing.assert_allclose(swapped, logits, rtol=1e-4, atol=1e-5)
    for name in maps:
        assert gap(of_swapped[name][0][:, ::-1], maps[name][0]) < 1e-5
    moved = joints.copy()
    moved[1] += 1
    moved, _ = run(moved)
    np.testing.assert_allclose(moved[::2], logits[::2], rtol=1e-4, atol=1e-5)
    assert gap(moved[1], logits[1]) > 1e-3


# (e) Parts.


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_parts_of_a_layout(layout):
    config = of_layout(layout.name)
    steps = [layout.steps_from(joint) for joint in range(layout.num_joints)]
    found = {
        partition: gpsnet.skeleton_parts(changed(config, partition=partition))
        for partition in gpsnet.PARTITIONS
    }
    assert found["shell"].tolist() == list(layout.steps_from(layout.root))
    assert found["joint"].tolist() == list(range(layout.num_joints))
    assert found["none"] is None
    for joint, part in enumerate(found["voronoi"]):
        ways = [steps[anchor][joint] for anchor in layout.anchors]
        assert ways.index(min(ways)) == part
    np.testing.assert_array_equal(gpsnet.skeleton_distances(config), steps)


@pytest.mark.parametrize("partition, alike", [("shell", True), ("joint", False)])
def test_joints_of_a_part_share_a_code(partition, alike):
    """Joints 0 and 2 at one place: only a code of their own tells them apart."""
    config = changed(partition=partition, stream="joint", motions=())
    network, params, state = shaken(config)
    for norm in (params["embedding"]["norms"][0], state["embedding"]["norms"][0]):
        for leaf in norm.values():
            leaf[4:6] = leaf[0:2]  # their two coordinates
    joints = clips(1, 1, 3, 5, 2)
    joints[..., 2, :] = joints[..., 0, :]
    run = quick_jit(functools.partial(network.apply, attention=True))
    (_, maps), _ = run(*narrow((params, state)), joints)
    weights = maps["spatial"][0][0, 0]  # [T, N, V, V]; joint 3 is far from both
    assert (gap(weights[..., 3, 0], weights[..., 3, 2]) < 1e-6) == alike


# (f) Lengths.


def test_the_number_of_frames_may_change():
    """One compiled function, one set of parameters; down to a single frame."""
    run = runner(changed(motions=(1, 2), strides=(2,)))
    for frames in (1, 6):
        logits = run(clips(2, 1, frames, 5, 2))
        assert logits.shape == (2, 3)
        assert gap(logits, run(clips(2, 1, frames, 5, 2, seed=1))) > 1e-4


# Against the restatement.

RESTATED = {
    "plain": {},
    "shared, parallel": {"share_time": True, "order": "parallel", "stream": "bone"},
    "voronoi, distances": {
        "partition": "voronoi", "distances": True, "distance_motions": (2, 1),
        "motions": (1, 2), "stream": "bone_motion", "pooling": "mean_max",
    },
    "fixed, no bias": {
        "fixed_codes": True, "geodesic_bias": False, "positions": False,
        "stream": "joint_motion", "strides": (3, 2), "time_code": False,
    },
    "no codes, no time": {
        "partition": "none", "temporal_conv": False, "strides": (1, 2),
        "positions": False, "motions": (), "distances": True,
    },
    "space alone": {"channel_attention": False},
    "channels alone": {"spatial_attention": False, "widths": (6, 6)},
}  # fmt: skip


@each("options", RESTATED, slow=("fixed, no bias", "space alone"))
def test_the_network_is_its_restatement(options, x64):
    """Logits to 1e-9, and the maps that come back are those that were applied."""
    config = changed(TWO, **options)
    network, params, state = shaken(config)
    run = quick_jit(functools.partial(network.apply, attention=True))
    joints, mask = numbers(2, 2, 5, 5, 2), some_mask(2, 2, 5, 5)
    time = np.sort(np.random.default_rng(3).uniform(-1, 1, (2, 5)))
    masked, whole = (joints, mask, time), (joints, None, None)
    for inputs in (masked,) if options else (masked, whole):
        (logits, maps), _ = run(params, state, *inputs)
        expected, of_clips = restated.network(params, state, config, *inputs)
        np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-11)
        assert_maps(maps, of_clips)


def assert_maps(maps, of_clips):
    for name, blocks in maps.items():
        for number, weights in enumerate(blocks):
            for clip, person in np.ndindex(weights.shape[:2]):
                expected = of_clips[clip][person][number][name]
                own = np.broadcast_to(weights[clip, person], expected.shape)
                np.testing.assert_allclose(own, expected, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_a_clip_of_one_frame_is_restated_too(masked, x64):
    config = changed(distances=True, strides=(2,))
    network, params, state = shaken(config)
    joints = numbers(2, 2, 1, 5, 2)
    mask = np.random.default_rng(0).random((2, 2, 1, 5)) > 0.3 if masked else None
    logits, _ = quick_jit(network.apply)(params, state, joints, mask)
    expected, _ = restated.network(params, state, config, joints, mask)
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-11)


# Chance, and mistakes.


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_what_is_drawn(name):
    """One way in evaluation, many in training; a key is needed."""
    config = changed(TWO, **{name: 0.5})
    network, *arrays = shaken(config)
    arrays, joints = narrow(arrays), clips(4, 1, 3, 5, 2)
    step = functools.partial(network.apply, train=True)
    with pytest.raises(ValueError, match="rng"):
        jax.eval_shape(step, *arrays, joints)
    step = quick_jit(lambda key: network.apply(*arrays, joints, train=True, rng=key)[0])
    keys = [jax.random.key(seed) for seed in range(3)]
    outs = [step(key) for key in (*keys, keys[0])]
    assert_finite(outs)
    np.testing.assert_array_equal(outs[0], outs[3])
    assert gap(outs[0], outs[1]) > 1e-3
    assert gap(outs[1], outs[2]) > 1e-3


BAD_CONFIGS = {
    "stream": (
        {"stream": "joints"},
        "stream must be one of joint, bone, joint_motion, bone_motion; got 'joints'.",
    ),
    "partition": (
        {"partition": "shells"},
        "partition must be one of shell, voronoi, joint, none; got 'shells'.",
    ),
    "order": (
        {"order": "both"}, "order must be one of sequential, parallel; got 'both'."
    ),
    "classes": ({"num_classes": 0}, "num_classes must be at least 1; got 0."),
    "heads": ({"num_heads": 0}, "num_heads must be at least 1; got 0."),
    "dropout": ({"dropout": 1.0}, "dropout must be in [0, 1); got 1.0."),
    "drop path": ({"drop_path": -0.1}, "drop_path must be in [0, 1); got -0.1."),
    "blocks": (
        {"widths": (8, 8)},
        "widths and strides must have one entry for each block; got (8, 8) and (1,).",
    ),
    "no blocks": (
        {"widths": (), "strides": ()},
        "widths and strides must have one entry for each block; got () and ().",
    ),
    "widths": ({"widths": (9,)}, "widths must be multiples of num_heads=2; got (9,)."),
    "no width": (
        {"widths": (0,)}, "widths must be multiples of num_heads=2; got (0,)."
    ),
    "motions": (
        {"motions": (1, 0)},
        "motions must be at least 1; got (1, 0).",
    ),
    "strides": (
        {"strides": (0,)},
        "strides must be at least 1; got (0,).",
    ),
    "motions of distances": (
        {"distance_motions": (0,)}, "distance_motions must be at least 1; got (0,)."
    ),
    "pooling": (
        {"pooling": "max"}, "pooling must be one of mean, mean_max; got 'max'."
    ),
    "no input": (
        {"positions": False, "motions": ()},
        "One of positions, motions, distances, distance_motions must be an input.",
    ),
    "root": ({"root": 5}, "root must be a joint below num_joints=5; got 5."),
}  # fmt: skip


@pytest.mark.parametrize("options, message", BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_configs_that_cannot_be_built(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        changed(**options)


BAD_GRAPHS = {
    "in pieces": (
        {"edges": ((0, 1), (1, 2), (3, 4))},
        "edges must connect all joints; [3, 4] cannot be reached.",
    ),
    "no such joint": (
        {"edges": ((0, 1), (1, 9))},
        "edges must be pairs of joints from 0 to 4; got (1, 9).",
    ),
    "anchors": (
        {"partition": "voronoi", "anchors": (7,)},
        "anchors must be joints from 0 to 4, at least one; got (7,).",
    ),
    "no anchors": (
        {"partition": "voronoi", "anchors": ()},
        "anchors must be joints from 0 to 4, at least one; got ().",
    ),
}  # fmt: skip


@pytest.mark.parametrize("options, message", BAD_GRAPHS.values(), ids=BAD_GRAPHS)
def test_graphs_that_cannot_be_built(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}(\n|$)"):
        gpsnet.build(changed(**options)).shapes()


BAD_INPUTS = {
    "joints": (
        {"joints": (2, 1, 4, 6, 2)},
        "joints must be [B, M, T, V=5, C=2], each at least 1; got (2, 1, 4, 6, 2).",
    ),
    "coordinates": (
        {"joints": (2, 1, 4, 5, 3)},
        "joints must be [B, M, T, V=5, C=2], each at least 1; got (2, 1, 4, 5, 3).",
    ),
    "no persons' axis": (
        {"joints": (2, 4, 5, 2)},
        "joints must be [B, M, T, V=5, C=2], each at least 1; got (2, 4, 5, 2).",
    ),
    "no frames": (
        {"joints": (2, 1, 0, 5, 2)},
        "joints must be [B, M, T, V=5, C=2], each at least 1; got (2, 1, 0, 5, 2).",
    ),
    "mask": ({"mask": (2, 4, 5)}, "mask must be [2, 1, 4, 5]; got (2, 4, 5)."),
    "time": ({"time": (2, 1, 4)}, "time must be [2, 4]; got (2, 1, 4)."),
}


@pytest.mark.parametrize("shapes, message", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_inputs_that_do_not_fit(shapes, message):
    network = gpsnet.build(SMALL)
    inputs = {
        name: jax.ShapeDtypeStruct(shape, bool if name == "mask" else np.float32)
        for name, shape in ({"joints": (2, 1, 4, 5, 2)} | shapes).items()
    }
    with pytest.raises(ValueError, match=f"^{re.escape(message)}(\n|$)"):
        jax.eval_shape(network.apply, *network.shapes(), **inputs)
