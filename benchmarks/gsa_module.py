"""The GSA module against the public PyTorch module and against full attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from gpsattn_jax import convert
from gpsattn_jax.kernels import attend

CHANNELS, HEADS = 256, 8
SIZES = {14: 8, 28: 4, 56: 2, 112: 1}  # pixels of a side: images of a batch
HEAD = (
    "px",
    "batch",
    "pass",
    "ours ms",
    "PyTorch ms",
    "PyTorch / ours",
    "full attention ms",
    "full / ours",
    "temp MiB, ours",
    "temp MiB, full",
    *timing.COLUMNS,
)


def rows(seconds: float):
    """A row for each size and pass: the cells of HEAD."""
    for size, batch in SIZES.items():
        for name in ("forward", "forward+backward"):
            yield row(size, batch, name, seconds)


def row(size: int, batch: int, name: str, seconds: float) -> tuple[str, ...]:
    """One row: the same weights and the same input for all candidates."""
    train = name != "forward"
    weights, x, run_peer = make_peer(size, batch, train)
    network, params, state = convert.load("gsa_module", weights, num_heads=HEADS)
    passes = forward_and_backward if train else forward
    ours = jax.jit(functools.partial(passes, network)).lower(params, state, x).compile()
    candidates = {"ours": lambda: jax.block_until_ready(ours(params, state, x))}
    temp = {"ours": timing.megabytes(ours)}
    if run_peer is not None:
        check(ours(params, state, x), run_peer(), train)
        candidates["torch"] = run_peer
    if not train and size <= 56:
        full = jax.jit(full_attention).lower(params, x).compile()
        candidates["full"] = lambda: jax.block_until_ready(full(params, x))
        temp["full"] = timing.megabytes(full)
    costs = timing.costs(candidates | timing.matmul(), seconds=seconds)

    def milliseconds(candidate):
        return f"{costs[candidate].ms:.1f}" if candidate in costs else "-"

    def ratio(candidate):
        found = candidate in costs
        return f"{costs[candidate].ms / costs['ours'].ms:.2f}" if found else "-"

    return (
        str(size),
        str(batch),
        name,
        milliseconds("ours"),
        milliseconds("torch"),
        ratio("torch"),
        milliseconds("full"),
        ratio("full"),
        f"{temp['ours']:.1f}",
        f"{temp['full']:.1f}" if "full" in temp else "-",
        *timing.columns(costs),
    )


def make_peer(size, batch, train):
    """The public module's state dict, an input, and a turn of it (None: no torch)."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(batch, size, size, CHANNELS)).astype(np.float32)
    try:
        import torch
        from gsa_pytorch import GSA
    except ImportError:
        return random_weights(draw, size), jnp.asarray(x), None
    torch.manual_seed(0)
    peer = GSA(
        dim=CHANNELS, dim_key=CHANNELS // HEADS, heads=HEADS, rel_pos_length=size
    )
    peer.train(train)
    image = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    run = functools.partial(run_torch, peer, image, train)
    return dict(peer.state_dict()), jnp.asarray(x), run


def random_weights(draw, size):
    """A state dict of the public module's names and shapes."""
    dim = CHANNELS // HEADS
    shapes = {
        "to_qkv.weight": (3 * CHANNELS, CHANNELS, 1, 1),
        "to_out.weight": (CHANNELS, CHANNELS, 1, 1),
        "to_out.bias": (CHANNELS,),
        "rel_rows": (2 * size - 1, dim),
        "rel_columns": (2 * size - 1, dim),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "norm.running_mean": (dim,),
    }
    weights = {name: 0.05 * draw.normal(size=shape) for name, shape in shapes.items()}
    return weights | {"norm.running_var": np.ones(dim)}


def forward(network, params, state, x):
    """The module with running statistics."""
    return network.apply(params, state, x)[0]


def forward_and_backward(network, params, state, x):
    """Output, updated statistics, and the gradients of the output's sum of squares."""

    def objective(params, x):
        out, updated = network.apply(params, state, x, train=True)
        return 0.5 * jnp.vdot(out, out), (out, updated)

    return jax.grad(objective, argnums=(0, 1), has_aux=True)(params, x)


def run_torch(peer, image, train):
    """The same with PyTorch."""
    import torch

    if not train:
        with torch.no_grad():
            return peer(image)
    image = image.detach().requires_grad_()
    peer.zero_grad(set_to_none=True)
    out = peer(image)
    (0.5 * (out * out).sum()).backward()
    return out, image.grad


def full_attention(params, x):
    """Softmax attention of every pixel to every pixel, from the same projections."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    query, key, value = (
        jnp.einsum("btc,cnd->bntd", flat, params[name]["kernel"])
        for name in ("query", "key", "value")
    )
    mixed = jax.vmap(jax.vmap(attend))(query, key, value)
    out = jnp.einsum("bnte,nec->btc", mixed, params["out"]["kernel"])
    return out.reshape(x.shape)


def check(result, expected, train):
    """Raises if ours and PyTorch differ: a wrong kernel has no speed."""
    if train:
        (_, gradient), (out, _) = result
        pairs = [(out, expected[0], 1e-4), (gradient, expected[1], 1e-3)]
    else:
        pairs = [(result, expected, 1e-4)]
    for mine, theirs, limit in pairs:
        theirs = theirs.detach().permute(0, 2, 3, 1).numpy()
        error = np.abs(np.asarray(mine) - theirs).max() / np.abs(theirs).max()
        if error > limit:
            raise AssertionError(
                f"Ours and PyTorch differ by {error:.1e} of the largest."
            )
