"""The GSA module against the public PyTorch module and against full attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import interleaved
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
)


def rows(seconds: float):
    """A row for each size and pass: the cells of HEAD."""
    for size, batch in SIZES.items():
        for name in ("forward", "forward+backward"):
            yield row(size, batch, name, seconds)


def row(size: int, batch: int, name: str, seconds: float) -> tuple[str, ...]:
    """One row: the same weights and the same input for all candidates."""
    import torch
    from gsa_pytorch import GSA

    torch.manual_seed(0)
    train = name != "forward"
    peer = GSA(
        dim=CHANNELS, dim_key=CHANNELS // HEADS, heads=HEADS, rel_pos_length=size
    )
    peer.train(train)
    network, params, state = convert.load(
        "gsa_module", peer.state_dict(), num_heads=HEADS
    )
    image = torch.randn(batch, CHANNELS, size, size)
    x = jnp.asarray(image.permute(0, 2, 3, 1).numpy())
    passes = {False: forward, True: forward_and_backward}[train]
    ours = jax.jit(functools.partial(passes, network)).lower(params, state, x).compile()
    check(ours(params, state, x), peer, image, train)
    candidates = {
        "ours": lambda: jax.block_until_ready(ours(params, state, x)),
        "torch": functools.partial(run_torch, peer, image, train),
    }
    temp = {"ours": megabytes(ours)}
    if not train and size <= 56:
        full = jax.jit(full_attention).lower(params, x).compile()
        candidates["full"] = lambda: jax.block_until_ready(full(params, x))
        temp["full"] = megabytes(full)
    times = interleaved(candidates, seconds=seconds)
    ratio = {peer: times[peer] / times["ours"] for peer in times}
    return (
        str(size),
        str(batch),
        name,
        f"{times['ours']:.1f}",
        f"{times['torch']:.1f}",
        f"**{ratio['torch']:.2f}**",
        f"{times['full']:.1f}" if "full" in times else "",
        f"{ratio['full']:.2f}" if "full" in times else "",
        f"{temp['ours']:.1f}",
        f"{temp['full']:.1f}" if "full" in temp else "",
    )


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


def check(result, peer, image, train):
    """Raises if ours and PyTorch differ: a wrong kernel has no speed."""
    expected = run_torch(peer, image, train)
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


def megabytes(compiled) -> float:
    """Temporary memory of a compiled function in MiB."""
    return compiled.memory_analysis().temp_size_in_bytes / 2**20
