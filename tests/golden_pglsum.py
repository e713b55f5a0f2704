"""PGL-SUM's golden files: arrays, configs, networks filled with their weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import golden as files
from benchmarks.golden import pglsum_options as options
from benchmarks.golden import prefixed
from gpsattn_jax import convert
from gpsattn_jax.convert.pglsum import infer_config
from gpsattn_jax.models import pglsum
from tests.kernels import reference

# Compiling takes most of these tests' time.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)

# What the names of the global attention begin with, by the module under test.
PREFIXES = {
    "SelfAttention": "",
    "MultiAttention": "attention.",
    "PGL_SUM": "attention.attention.",
}

SMALL = pglsum.Config(
    input_size=16, hidden_size=8, num_heads=2, local_heads=2, num_segments=2
)


def read(golden, name):
    """(arrays by name, config) of a file."""
    return files.read("pglsum", name, golden)


def load(arrays, described, **changes):
    """(network, params, state) of a file."""
    theirs = prefixed(arrays, "param/")
    return convert.load("pglsum", theirs, **options(described) | changes)


def config_of(arrays, described):
    prefix = PREFIXES[described["module"]]
    return infer_config(prefixed(arrays, "param/"), prefix, **options(described))


def made_network(config, seed=0):
    """(network, params, state) of weights that are all different; biases, too."""
    network = pglsum.build(config)
    params, state = network.shapes()
    draw = np.random.default_rng(seed)

    def one(leaf):
        spread = 1.5 / np.sqrt(leaf.shape[0] if leaf.ndim > 1 else 4)
        return jnp.asarray(spread * draw.standard_normal(leaf.shape), jnp.float32)

    return network, jax.tree.map(one, params), state


def features(*shape, seed=1):
    """Random features, of unit length as a network gets them."""
    x = np.random.default_rng(seed).standard_normal(shape)
    return jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), jnp.float32)


def error(ours, theirs):
    """The largest difference, relative to the largest value."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


# A slow twin in NumPy, written from the paper's equations, for any length.


def twin(config, weights, x):
    """Scores [T] of features [T, C] by the official names of weights."""

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        x = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-6)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = norm("norm_y", x + _twin_attention(config, weights, x))
    x = norm("norm_linear", np.maximum(linear("linear_1", x), 0))
    return 1 / (1 + np.exp(-linear("linear_2", x)[:, 0]))


def _twin_attention(config, weights, x):
    whole = _twin_block(config, weights, "attention.attention.", config.num_heads, x)
    if config.fusion == "none" or not config.num_segments:
        return whole
    size, parts = -(-len(x) // config.num_segments), []
    for number, start in enumerate(range(0, len(x), size)):
        name = f"attention.local_attention.{number}."
        part = x[start : start + size]
        parts.append(_twin_block(config, weights, name, config.local_heads, part))
    one, other = (
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        for x in (whole, np.concatenate(parts))
    )
    return {
        "add": one + other,
        "mult": one * other,
        "avg": (one + other) / 2,
        "max": np.maximum(one, other),
    }[config.fusion]


def _twin_block(config, weights, name, heads, x):
    bias = {
        "absolute": reference.absolute_bias,
        "relative": reference.relative_bias,
        "none": reference.no_bias,
    }[config.position]
    told = {"frequency": config.frequency, "channels": config.input_size}
    steps = range(len(x))
    bias = np.array([[bias(r, c, len(x), **told) for c in steps] for r in steps])
    gathered = []
    for head in range(heads):
        query, key, value = (
            x @ weights[f"{name}{part}.{head}.weight"].T for part in ("Wq", "Wk", "Wv")
        )
        logits = np.exp(query @ key.T + bias)
        gathered.append(logits / logits.sum(1, keepdims=True) @ value)
    return np.concatenate(gathered, axis=1) @ weights[f"{name}out.weight"].T
