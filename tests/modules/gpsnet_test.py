"""GPS-Net's modules against loops; masks, mirrored time, standardised distances."""

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from flax import nnx

from benchmarks import gpsnet_restated as restated
from gpsattn_jax.graphs import geodesic_distances
from gpsattn_jax.modules import BatchNorm, Functional
from gpsattn_jax.modules.joint_embedding import (
    JointEmbedding,
    joint_distances,
    motion,
)
from gpsattn_jax.modules.layers import Dense
from gpsattn_jax.modules.skeleton_attention import ChannelAttention, SpatialAttention
from gpsattn_jax.modules.temporal_conv import TemporalConv, thin
from tests.golden_pglsum import quick_jit

HEADS, CHANNELS = 2, 6
DISTANCES = geodesic_distances(4, ((0, 1), (1, 2), (1, 3)))
SHAPE = (2, 3, 4, CHANNELS)  # clips, frames, joints, channels


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def shaken(network, seed=5):
    """Parameters that are all different, in double precision, and such a state."""
    generator = np.random.default_rng(seed)
    params, state = network.shapes()
    params = jax.tree.map(lambda leaf: generator.normal(0, 0.6, leaf.shape), params)
    return params, jax.tree.map(
        lambda leaf: generator.uniform(0.5, 2, leaf.shape), state
    )


def apply(network, params, state, *inputs):
    return quick_jit(network.apply)(params, state, *inputs)[0]


def weights_of(network, params, state, *inputs):
    """The weights that a module says it applies."""

    def weights(params, state, *inputs):
        return nnx.merge(network.graphdef, params, state).weights(*inputs)

    return quick_jit(weights)(params, state, *inputs)


def narrow(params):
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), params)


def some_mask(seed=1):
    """Clip 0: joints missing here and there. Clip 1: joint 3 and frame 1 nowhere."""
    mask = np.random.default_rng(seed).random(SHAPE[:3]) > 0.3
    mask[0, 0], mask[1, 1], mask[1, :, 3] = True, False, False
    mask[:, 2, 0] = True
    return mask


def spatial(**options):
    return Functional(
        lambda rngs: SpatialAttention(CHANNELS, HEADS, **options, rngs=rngs)
    )


def channel():
    return Functional(lambda rngs: ChannelAttention(CHANNELS, HEADS, rngs=rngs))


# Attention between joints.


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("share_time", [False, True], ids=["by frame", "shared"])
@pytest.mark.parametrize("biased", [False, True], ids=["no bias", "bias"])
def test_spatial_attention_against_loops(biased, share_time, masked, x64):
    network = spatial(distances=DISTANCES if biased else None, share_time=share_time)
    params, state = shaken(network)
    x, code = numbers(*SHAPE), numbers(4, CHANNELS, seed=2)
    mask = some_mask() if masked else None
    out = apply(network, params, state, x, code, mask)
    weights = weights_of(network, params, state, x, code, mask)
    assert weights.shape == (2, 1 if share_time else 3, HEADS, 4, 4)
    seen = np.ones(SHAPE[:3], bool) if mask is None else mask
    bias = params["bias"][:, DISTANCES] if biased else None
    for clip in range(2):
        expected, found = restated.spatial_attention(
            params, x[clip], code, seen[clip], HEADS, bias, share_time=share_time
        )
        place = seen[clip]
        np.testing.assert_allclose(out[clip][place], expected[place], rtol=1e-11)
        shared = np.broadcast_to(weights[clip], found.shape)
        np.testing.assert_allclose(shared, found, rtol=1e-11)


def test_the_code_is_not_in_the_values(x64):
    """With no logits all joints weigh the same, whatever the code."""
    network = spatial()
    params, state = shaken(network)
    params["query"] = jax.tree.map(np.zeros_like, params["query"])
    x = numbers(*SHAPE)
    codes = numbers(4, CHANNELS, seed=2)
    outs = [apply(network, params, state, x, code) for code in (0 * codes, codes)]
    np.testing.assert_allclose(*outs, rtol=1e-12)


def test_shared_logits_are_the_mean_of_the_frames_logits(x64):
    """Shown by the weights' logarithms, which are logits up to a constant per row."""
    params, state = shaken(spatial())
    x = numbers(*SHAPE)
    each, one = (
        np.log(weights_of(spatial(share_time=share), params, state, x))
        for share in (False, True)
    )
    mean = each.mean(1, keepdims=True)
    np.testing.assert_allclose(
        one - one[..., :1], mean - mean[..., :1], rtol=1e-9, atol=1e-12
    )


def test_shared_weights_do_not_know_the_order_or_the_number_of_frames(x64):
    network = spatial(share_time=True)
    params, state = shaken(network)
    x = numbers(*SHAPE)
    weights = functools.partial(weights_of, network, params, state)
    for other in (x[:, ::-1], np.concatenate([x, x], 1)):
        np.testing.assert_allclose(weights(other), weights(x), rtol=1e-11)
    padded = np.concatenate([x, numbers(*SHAPE, seed=9)], 1)
    mask = np.repeat(np.arange(6) < 3, 4).reshape(1, 6, 4).repeat(2, 0)
    np.testing.assert_allclose(weights(padded, None, mask), weights(x), rtol=1e-11)


def test_a_frame_does_not_see_another():
    network = spatial(distances=DISTANCES)
    params, state = shaken(network)
    run = quick_jit(functools.partial(network.apply, narrow(params), state))
    x = numbers(*SHAPE).astype(np.float32)
    moved = x.copy()
    moved[:, 1] += numbers(CHANNELS).astype(np.float32)
    same = run(x)[0] == run(moved)[0]
    assert same[:, ::2].all()
    assert not same[:, 1].all(-1).any()


def test_the_bias_starts_at_zero_and_has_a_row_for_each_distance():
    module = SpatialAttention(CHANNELS, HEADS, distances=DISTANCES, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(module.bias[...], np.zeros((HEADS, 3)))
    assert "bias" not in spatial().shapes()[0]


# Attention between channels.


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("codes", ["none", "time", "joints", "both"])
def test_channel_attention_against_loops(codes, masked, x64):
    network = channel()
    params, state = shaken(network)
    x = numbers(*SHAPE)
    time = numbers(2, 3, CHANNELS, seed=3) if codes in ("time", "both") else None
    code = numbers(4, CHANNELS, seed=4) if codes in ("joints", "both") else None
    mask = some_mask() if masked else None
    out = apply(network, params, state, x, time, code, mask)
    weights = weights_of(network, params, state, x, time, code, mask)
    seen = np.ones(SHAPE[:3], bool) if mask is None else mask
    for clip in range(2):
        own = None if time is None else time[clip]
        expected, found = restated.channel_attention(
            params, x[clip], own, code, seen[clip], HEADS
        )
        np.testing.assert_allclose(out[clip], expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(weights[clip], found, rtol=1e-10)


@pytest.mark.parametrize("coded", [False, True], ids=["no time", "time"])
def test_channel_weights_know_order_by_the_code_of_time_alone(coded, x64):
    network = channel()
    params, state = shaken(network)
    x, code = numbers(*SHAPE), numbers(4, CHANNELS)
    time = numbers(2, 3, CHANNELS, seed=3) if coded else None
    weights = functools.partial(weights_of, network, params, state)
    order = np.array([2, 0, 1])
    gap = np.abs(weights(x[:, order], time, code) - weights(x, time, code)).max()
    assert gap > 1e-3 if coded else gap < 1e-12
    if coded:  # frames that take their codes along
        moved = weights(x[:, order], time[:, order], code)
        np.testing.assert_allclose(moved, weights(x, time, code), rtol=1e-11)


def test_channel_attention_takes_any_number_of_frames_and_joints():
    network = channel()
    params, state = shaken(network)
    params = narrow(params)
    for frames, joints in ((1, 1), (5, 3)):
        x = numbers(2, frames, joints, CHANNELS).astype(np.float32)
        assert apply(network, params, state, x).shape == x.shape
        weights = weights_of(network, params, state, x)
        assert weights.shape == (2, HEADS, 3, 3)
        np.testing.assert_allclose(weights.sum(-1), np.ones((2, HEADS, 3)), rtol=1e-5)


@pytest.mark.parametrize("build", [spatial, channel])
def test_hidden_places_do_not_count(build):
    """Neither for what comes out where something is seen, nor for any gradient."""
    network = build()
    params, state = shaken(network)
    params = narrow(params)
    mask, x = some_mask(), numbers(*SHAPE).astype(np.float32)
    codes = (None,) if build is spatial else (None, None)

    @quick_jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def function(params, x):
        out, _ = network.apply(params, state, x, *codes, mask)
        out = jnp.where(mask[..., None], out, 0)
        return jnp.square(out).sum(), out

    (_, out), (of_params, of_x) = function(params, x)
    other = np.where(mask[..., None], x, 50 * numbers(*SHAPE, seed=7)).astype(x.dtype)
    (_, same), (likewise, _) = function(params, other)
    np.testing.assert_allclose(out, same, rtol=1e-5, atol=1e-6)
    for one, two in zip(*map(jax.tree.leaves, (of_params, likewise)), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    assert not np.asarray(of_x)[~mask].any()
    assert np.asarray(of_x)[mask].all()


@pytest.mark.parametrize("module", [SpatialAttention, ChannelAttention])
def test_heads_must_divide_the_channels(module):
    message = "channels must be a multiple of num_heads=4; got 6."
    with pytest.raises(ValueError, match=f"^{message}$"):
        module(6, 4, rngs=nnx.Rngs(0))


# Along time.


def temporal(**options):
    return Functional(lambda rngs: TemporalConv(CHANNELS, **options, rngs=rngs))


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("stride, frames", [(1, 3), (2, 9), (2, 8), (3, 1)])
def test_temporal_conv_against_loops(stride, frames, masked, x64):
    network = temporal(stride=stride)
    params, state = shaken(network)
    x = numbers(2, frames, 4, CHANNELS)
    mask = np.random.default_rng(0).random(x.shape[:3]) > 0.3 if masked else None
    out = apply(network, params, state, x, mask)
    assert out.shape == thin(x, stride).shape == (2, -(-frames // stride), 4, CHANNELS)
    seen = np.ones(x.shape[:3], bool) if mask is None else mask
    for clip in range(2):
        expected = restated.temporal_conv(params, x[clip], seen[clip], stride)
        np.testing.assert_allclose(out[clip], expected, rtol=1e-11, atol=1e-13)


def test_a_stride_takes_every_so_many_frames(x64):
    params, state = shaken(temporal())
    x = numbers(2, 7, 4, CHANNELS)
    whole = apply(temporal(), params, state, x)
    strided = apply(temporal(stride=3), params, state, x)
    np.testing.assert_allclose(strided, thin(whole, 3), rtol=1e-12)


def test_another_size_of_the_temporal_filter(x64):
    network = temporal(kernel_size=3)
    params, state = shaken(network)
    x = numbers(1, 5, 2, CHANNELS)
    expected = restated.temporal_conv(params, x[0], np.ones((5, 2), bool), 1)
    out = apply(network, params, state, x)
    np.testing.assert_allclose(out[0], expected, rtol=1e-11, atol=1e-13)


# Inputs.


@pytest.mark.parametrize("lag", [1, 3, 5, 9])
def test_motion_against_loops(lag):
    """Lags up to more than there are frames."""
    x = numbers(2, 5, 4, 3).astype(np.float32)
    mask = np.random.default_rng(0).random(x.shape[:3]) > 0.3
    moved = quick_jit(functools.partial(motion, lag=lag))
    for seen in (None, mask):
        found, both = moved(x, seen)
        where = np.ones(x.shape[:3], bool) if seen is None else seen
        for clip in range(2):
            expected, shown = restated.difference(x[clip], where[clip], lag)
            np.testing.assert_allclose(found[clip], expected, rtol=1e-5, atol=1e-6)
            if seen is None:
                assert both is None
            else:
                np.testing.assert_array_equal(both[clip], shown)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_distances_are_standardised_within_a_clip(masked, x64):
    # Clips of different sizes, of which the standardised distances know nothing.
    x = numbers(2, 5, 4, 3) * np.array([1.0, 40]).reshape(2, 1, 1, 1)
    mask = np.random.default_rng(0).random(x.shape[:3]) > 0.3 if masked else None
    found, both = quick_jit(joint_distances)(x, mask)
    assert found.shape == (2, 5, 6, 1)
    seen = np.ones(x.shape[:3], bool) if mask is None else mask
    for clip in range(2):
        expected, where = restated.distances_between(x[clip], seen[clip])
        own = np.asarray(found[clip, ..., 0])
        np.testing.assert_allclose(own, expected, rtol=1e-10, atol=1e-12)
        shown = own[where]
        if masked:
            np.testing.assert_array_equal(both[clip], where)
        np.testing.assert_allclose([shown.mean(), shown.std()], [0, 1], atol=1e-6)


def test_distances_do_not_change_with_turning_and_moving(x64):
    x = numbers(1, 3, 5, 3)
    turn, _ = np.linalg.qr(numbers(3, 3, seed=4))
    moved = 2.5 * x @ turn + numbers(1, 3, 1, 3, seed=6)
    found = quick_jit(joint_distances)
    np.testing.assert_allclose(
        found(x, None)[0], found(moved, None)[0], rtol=1e-6, atol=1e-9
    )


def test_distances_of_joints_at_one_place_have_a_gradient():
    gradient = quick_jit(jax.grad(lambda x: joint_distances(x, None)[0][0, 0, 0, 0]))
    x = np.zeros((1, 2, 3, 2), np.float32)
    apart = x.copy()
    apart[0, 0, 1] = 1
    for joints in (x, apart):
        assert np.isfinite(gradient(joints)).all()


INPUTS = {
    "positions": {"motions": ()},
    "motions": {"positions": False, "motions": (1, 3)},
    "distances": {"positions": False, "motions": (), "distances": True},
    "all": {"motions": (1, 2), "distances": True, "distance_motions": (1, 3)},
}


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("options", INPUTS.values(), ids=INPUTS)
def test_the_embedding_sums_its_inputs(options, masked, x64):
    network = embedding(**options)
    params, state = shaken(network)
    joints, stream = numbers(2, 5, 4, 3), numbers(2, 5, 4, 3, seed=1)
    mask, visible = (
        np.random.default_rng(seed).random((2, 5, 4)) > 0.3 if masked else None
        for seed in range(2)
    )
    out = apply(network, params, state, joints, mask, stream, visible)
    lags = ((0,) if options.get("positions", True) else ()) + options["motions"]
    for clip in range(2):
        seen, shown = (
            np.ones((5, 4), bool) if m is None else m[clip] for m in (mask, visible)
        )
        expected = np.zeros((5, 4, 6))
        for number, lag in enumerate(lags):
            x, where = stream[clip], shown
            if lag:
                x, where = restated.difference(x, shown, lag)
            norm, running = params["norms"][number], state["norms"][number]
            flat = (x.reshape(5, 12) - running["mean"]) / np.sqrt(running["var"] + 1e-5)
            normal = (flat * norm["scale"] + norm["bias"]).reshape(5, 4, 3)
            normal = np.where(where[..., None], normal, 0)
            expected += restated.two_layers(params["layers"][number], normal)
        gaps, both = restated.distances_between(joints[clip], seen)
        inputs = [gaps] if "distances" in options else []
        for lag in options.get("distance_motions", ()):
            inputs.append(restated.difference(gaps[..., None], both, lag)[0][..., 0])
        for number, found in enumerate(inputs):
            layers = params["distances"][number]
            expected += restated.two_layers(layers, found)[:, None]
        np.testing.assert_allclose(out[clip], expected, rtol=1e-9, atol=1e-12)


def embedding(**options):
    return Functional(
        lambda rngs: JointEmbedding(4, 3, 6, hidden=5, **options, rngs=rngs)
    )


# Norm and dense layer.


def test_a_masked_norm_is_the_norm_of_what_is_seen():
    network = Functional(lambda rngs: BatchNorm(3, momentum=0.8, rngs=rngs))
    _, state = network.init(jax.random.key(0))
    params = {"scale": jnp.array([0.5, -1.0, 2.0]), "bias": jnp.array([1.0, 0, -3])}
    step = quick_jit(functools.partial(network.apply, train=True))
    x = (3 + numbers(8, 5, 3)).astype(np.float32)
    rows = np.random.default_rng(0).random((8, 5)) > 0.4
    mask = np.repeat(rows[..., None], 3, -1)
    garbage = np.where(mask, x, 1e4).astype(np.float32)
    out, masked = step(params, state, garbage, mask)
    alone, expected = step(params, state, x[rows])
    np.testing.assert_allclose(np.asarray(out)[rows], alone, rtol=1e-4, atol=1e-5)
    for name in ("mean", "var"):
        np.testing.assert_allclose(masked[name], expected[name], rtol=1e-5)


def test_each_channel_has_a_mask_of_its_own():
    """One of many values, one of one, one of none: that one keeps its statistics."""
    network = Functional(lambda rngs: BatchNorm(3, momentum=0.5, rngs=rngs))
    params, state = network.init(jax.random.key(0))
    state = {"mean": jnp.array([0.0, 0, 7]), "var": jnp.array([1.0, 1, 4])}
    x = jnp.array([[1.0, 5, 9], [3, 6, 11], [9, 7, 12]])
    mask = jnp.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], bool)
    out, found = network.apply(params, state, x, mask, train=True)
    np.testing.assert_allclose(found["mean"], [1.0, 3, 7])
    np.testing.assert_allclose(found["var"], [1.5, 0.5, 4])
    np.testing.assert_allclose(out[:2, 0], [-1, 1], rtol=1e-4)
    np.testing.assert_allclose(out[1, 1], 0.0, atol=1e-6)
    np.testing.assert_allclose(out[0, 2], (9 - 7) / 2, rtol=1e-4)
    same, _ = network.apply(params, state, x, train=False)
    unmasked, _ = network.apply(params, state, x, mask, train=False)
    np.testing.assert_array_equal(same, unmasked)


def test_gradients_of_a_masked_norm(x64):
    network = Functional(lambda rngs: BatchNorm(2, rngs=rngs))
    params, state = jax.tree.map(jnp.asarray, shaken(network))
    mask = np.random.default_rng(0).random((6, 2)) > 0.4

    def function(params, x):
        out, _ = network.apply(params, state, x, mask, train=True)
        return jnp.where(mask, out, 0)

    jax.test_util.check_grads(
        function, (params, numbers(6, 2)), order=1, modes=["rev"], atol=1e-6, rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3), (2, 1, 5, 4, 3)])
def test_dense_is_flax_linear(shape):
    ours, theirs = Dense(3, 5, rngs=nnx.Rngs(4)), nnx.Linear(3, 5, rngs=nnx.Rngs(4))
    np.testing.assert_array_equal(ours.kernel[...], theirs.kernel[...])
    x = numbers(*shape).astype(np.float32)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("share_time", [False, True], ids=["by frame", "shared"])
def test_dropped_weights_are_right_in_the_mean(share_time):
    network = spatial(share_time=share_time, dropout=0.25)
    params, state = network.init(jax.random.key(0))
    x, mask = numbers(*SHAPE).astype(np.float32), some_mask()

    def once(key):
        return network.apply(params, state, x, None, mask, train=True, rng=key)[0]

    draws = np.asarray(jax.vmap(once)(jax.random.split(jax.random.key(1), 1000)))
    whole, _ = network.apply(params, state, x, None, mask)
    spread = draws.std(0)[mask]
    assert spread.min() > 1e-4
    gap = abs(draws.mean(0) - np.asarray(whole))[mask]
    assert (gap / spread).max() < 6 / np.sqrt(1000)
