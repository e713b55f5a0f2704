"""The mixers of four other papers: timm's numbers, and what each promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gpsattn_jax.modules import (
    AxialAttention,
    GatedAttention,
    GridAttention,
    LambdaLayer,
)
from gpsattn_jax.modules.map_attention import first_looks, offsets

SIDE, CHANNELS, HEADS = 4, 16, 4


def image(batch=2, height=SIDE, width=SIDE):
    draw = np.random.default_rng(0)
    return draw.standard_normal((batch, height, width, CHANNELS)).astype(np.float32)


def array(tensor):
    return jnp.asarray(tensor.detach().numpy())


def like(shape):
    """What the gradient tests multiply outputs with."""
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def agree(module, peer, of_peer, torch, flat, **options):
    """Outputs to 2e-5, gradients of the input and of the table to 1e-4."""
    x = image()
    graph, params, rest = nnx.split(module, nnx.Param, ...)

    def run(params, x):
        return nnx.merge(graph, params, rest, copy=True)(x, **options)

    def objective(params, x):
        out = run(params, x)
        return (out * like(out.shape)).sum(), out

    grads, out = jax.jit(jax.grad(objective, argnums=(0, 1), has_aux=True))(params, x)
    tensor = torch.tensor(x if flat is None else flat(x), requires_grad=True)
    expected = of_peer(peer(tensor))
    (expected * torch.tensor(like(tuple(expected.shape)))).sum().backward()
    close(out, array(expected), 2e-5)
    found = tensor.grad
    found = found.permute(0, 2, 3, 1) if flat is channels_first else found
    close(grads[1], array(found).reshape(x.shape), 1e-4)
    return grads[0]


def close(found, expected, share):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * largest)


def channels_first(x):
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def heads_of(weight):
    """A PyTorch weight [N D, C] -> [C, N, D]."""
    return array(weight).T.reshape(CHANNELS, HEADS, -1)


def set_projections(module, query, key, value, out):
    for layer, weight in zip(
        (module.query, module.key, module.value), (query, key, value), strict=True
    ):
        layer.kernel[...] = heads_of(weight)
    module.out.kernel[...] = array(out).T.reshape(HEADS, -1, CHANNELS)


def test_gated_attention_has_timms_numbers(timm, torch):
    from timm.models.convit import GPSA

    torch.manual_seed(0)
    peer = GPSA(CHANNELS, HEADS)
    peer.local_init()
    for parameter in peer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    peer.proj.bias.data.zero_()
    module = GatedAttention(CHANNELS, HEADS, rngs=nnx.Rngs(0))
    query, key = peer.qk.weight.chunk(2)
    set_projections(module, query, key, peer.v.weight, peer.proj.weight)
    module.position[...] = array(peer.pos_proj.weight).T
    module.gate[...] = array(peer.gating_param)
    grads = agree(
        module, peer, lambda out: out.reshape(2, SIDE, SIDE, CHANNELS), torch,
        lambda x: x.reshape(2, -1, CHANNELS),
    )  # fmt: skip
    close(grads["gate"][...], array(peer.gating_param.grad), 1e-4)
    close(grads["position"][...], array(peer.pos_proj.weight.grad).T, 1e-4)


def test_first_looks_are_timms(timm, torch):
    from timm.models.convit import GPSA

    peer = GPSA(CHANNELS, 9 if CHANNELS % 9 == 0 else HEADS)
    peer.local_init()
    expected = array(peer.pos_proj.weight).T
    np.testing.assert_array_equal(first_looks(expected.shape[1]), expected)


@pytest.mark.parametrize("local", [False, True])
def test_lambda_layer_has_timms_numbers(timm, torch, local):
    from timm.layers.lambda_layer import LambdaLayer as Peer

    torch.manual_seed(0)
    peer = Peer(
        CHANNELS, feat_size=(SIDE, SIDE), num_heads=HEADS, dim_head=8,
        r=3 if local else None,
    ).eval()  # fmt: skip
    for norm in (peer.norm_q, peer.norm_v):
        norm.running_mean.data = torch.randn_like(norm.running_mean)
        norm.running_var.data = 0.5 + torch.rand_like(norm.running_var)
    window = 2 if local else SIDE
    module = LambdaLayer(
        CHANNELS, HEADS, window=window, key_channels=8, rngs=nnx.Rngs(0)
    )
    parts = peer.qkv.weight[:, :, 0, 0].split([HEADS * 8, 8, CHANNELS // HEADS])
    for layer, weight in zip(
        (module.query, module.key, module.value), parts, strict=True
    ):
        layer.kernel[...] = array(weight).T
    for norm, one in (
        (module.query_norm, peer.norm_q),
        (module.value_norm, peer.norm_v),
    ):
        norm.mean[...], norm.var[...] = array(one.running_mean), array(one.running_var)
    if local:  # timm's convolution has a bias, which the paper's has not
        peer.conv_lambda.bias.data.zero_()
        filters = peer.conv_lambda.weight
        module.table[...] = array(filters[:, 0, :, :, 0]).transpose(1, 2, 0)
    else:
        peer.pos_emb.data = torch.randn_like(peer.pos_emb)
        module.table[...] = array(peer.pos_emb)
    grads = agree(
        module, peer, lambda out: out.permute(0, 2, 3, 1), torch, channels_first
    )
    if local:
        expected = array(filters.grad[:, 0, :, :, 0]).transpose(1, 2, 0)
    else:
        expected = array(peer.pos_emb.grad)
    close(grads["table"][...], expected, 1e-4)


def test_grid_attention_has_timms_numbers(timm, torch):
    from timm.layers import RelPosBias
    from timm.models.maxxvit import AttentionCl

    torch.manual_seed(0)
    peer = AttentionCl(
        CHANNELS, dim_head=CHANNELS // HEADS, bias=False, head_first=False,
        rel_pos_cls=lambda **options: RelPosBias((SIDE, SIDE), **options),
    )  # fmt: skip
    table = peer.rel_pos.relative_position_bias_table
    table.data = torch.randn_like(table)
    module = GridAttention(CHANNELS, HEADS, window=SIDE, rngs=nnx.Rngs(0))
    set_projections(module, *peer.qkv.weight.chunk(3), peer.proj.weight)

    def turned(rows):  # PyTorch's offsets are from key to query
        square = array(rows).reshape(2 * SIDE - 1, 2 * SIDE - 1, HEADS)
        return square[::-1, ::-1].transpose(2, 0, 1)

    module.table[...] = turned(table)
    grads = agree(module, peer, lambda out: out, torch, None)
    close(grads["table"][...], turned(table.grad), 1e-4)


def test_rotary_2d_has_timms_numbers(timm, torch):
    from timm.layers.pos_embed_sincos import apply_rot_embed, build_rotary_pos_embed

    from gpsattn_jax.kernels import rotary_2d

    x = like((6, 8))
    sine, cosine = build_rotary_pos_embed([2, 3], dim=8, in_pixels=False)
    expected = apply_rot_embed(torch.tensor(x), sine, cosine)
    np.testing.assert_allclose(rotary_2d(x, shape=(2, 3)), expected, atol=1e-6)


MIXERS = {
    "axial": lambda **options: AxialAttention(CHANNELS, HEADS, window=SIDE, **options),
    "gated": lambda **options: GatedAttention(CHANNELS, HEADS, **options),
    "grid": lambda **options: GridAttention(CHANNELS, HEADS, window=SIDE, **options),
    "lambda": lambda **options: LambdaLayer(CHANNELS, HEADS, window=SIDE, **options),
}


@pytest.mark.parametrize("name", MIXERS)
def test_maps_need_not_be_square_and_may_be_larger(name):
    """What stands farther away than the tables reach is no error."""
    module = MIXERS[name](rngs=nnx.Rngs(0))
    x = image(1, 3, 6)
    out = jax.jit(lambda x: module(x))(x)
    assert out.shape == x.shape
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", ["axial", "grid", "lambda"])
def test_a_place_knows_where_it_stands(name):
    """Turned around, an image gives another answer than the answer turned around."""
    module = MIXERS[name](rngs=nnx.Rngs(0))
    x = image(1)
    both = jax.jit(lambda x: (module(x), module(x[:, ::-1])[:, ::-1]))(x)
    assert np.abs(both[0] - both[1]).max() > 1e-3


def test_a_gate_wide_open_sees_places_alone():
    """Then one head is a shift by its offset: softmax of -|offset|^2, sharp."""
    module = GatedAttention(CHANNELS, HEADS, locality=50.0, rngs=nnx.Rngs(0))
    module.gate[...] = jnp.full((HEADS,), 50.0)
    module.out.kernel[...] = jnp.eye(CHANNELS).reshape(HEADS, -1, CHANNELS)
    # Four heads look at half offsets: a mean of four pixels each, clear of the edge.
    x = image(1, 6, 6)
    out = jax.jit(lambda x: module(x))(x)
    width = CHANNELS // HEADS
    for head in range(HEADS):
        right, down = (-1, 0)[head // 2 == 1], (-1, 0)[head % 2 == 1]
        channels = slice(head * width, (head + 1) * width)
        four = [
            np.roll(x, (-(down + i), -(right + j)), (1, 2))[:, 1:-1, 1:-1, channels]
            for i in (0, 1)
            for j in (0, 1)
        ]
        np.testing.assert_allclose(
            out[:, 1:-1, 1:-1, channels], np.mean(four, 0), atol=1e-4
        )


def test_offsets_go_from_query_to_key():
    found = offsets((2, 3))
    assert found.shape == (6, 6, 3)
    np.testing.assert_array_equal(found[0, 5], [2, 1, 5])
    np.testing.assert_array_equal(found[5, 0], [-2, -1, 5])
