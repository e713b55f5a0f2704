"""What every kernel promises, one row each: shapes, dtypes, gradients, transforms."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from gpsattn_jax import kernels
from tests.kernels import reference

SIZES = {"L": 7, "T": 5, "S": 7, "D": 4, "E": 3, "R": 7}
SIZES |= {"N": 2, "B": 2, "H": 5, "W": 6, "C": 4, "K": 3, "G": 2}


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One kernel, or one way of calling it.

    Attributes:
        kernel: the function.
        twin: its slow NumPy twin.
        arguments: positional arguments by name, as axis letters; "T S?" is boolean,
            a number is a size that no test changes.
        out: the result's axes, likewise.
        options: keyword arguments.
        out_dtype: the result's dtype if not that of the inputs.
    """

    kernel: Callable
    twin: Callable
    arguments: dict[str, str]
    out: str
    options: dict = dataclasses.field(default_factory=dict)
    out_dtype: str | None = None

    def make(self, seed=0, draw=np.random.Generator.standard_normal, **sizes):
        """Arguments in the widest float that is on; each query sees a key."""
        generator, arrays = np.random.default_rng(seed), []
        for axes in self.arguments.values():
            array = draw(generator, size=shape_of(axes.rstrip("?"), sizes))
            if axes.endswith("?"):
                array = array > 0.3
                array[..., 0] = True
            arrays.append(jnp.asarray(array))
        return tuple(arrays)

    def shape(self, **sizes):
        return shape_of(self.out, sizes)

    @property
    def differentiable(self):
        """Positions of the float arguments."""
        kinds = enumerate(self.arguments.values())
        return tuple(place for place, axes in kinds if not axes.endswith("?"))

    def __call__(self, *arrays):
        return self.kernel(*arrays, **self.options)

    def expected(self, arrays):
        wide = [a if a.dtype == bool else np.asarray(a, np.float64) for a in arrays]
        return self.twin(*wide, **self.options)


def shape_of(axes, sizes):
    sizes = SIZES | sizes
    return tuple(sizes.get(axis) or int(axis) for axis in axes.split())


WEIGHTS = {"query": "T D", "key": "S D"}
ATTEND = WEIGHTS | {"value": "S E"}
BIAS_MASK = {"bias": "T S", "mask": "T S?"}
RELATIVE = {"query": "T D", "table": "R D"}
MIX = {"logits": "K K G C", "kernels": "K K G C"}
SHARED = {"x": "B H W C", "filters": "K K C"}
PER_EXAMPLE = {"x": "B H W C", "filters": "B K K C"}
HEADS = {"query": "N T D", "key": "N S D", "value": "N S E"}
CHANNEL_WEIGHTS = {"query": "S D", "key": "S E", "temperature": ""}
CHANNELS = {"query": "S D", "key": "S E", "value": "S E", "temperature": ""}
DISTANCES = np.array([[0, 1, 4], [1, 0, 3], [4, 3, 0]], np.int32)


def wave(rows, columns, length):
    """A bias that tells rows from columns."""
    return jnp.sin(0.7 * rows + 1.3 * columns + length)


def halves(data, head, rows, columns):
    """Factors on the weights, as dropout's, other ones for each head."""
    return data * ((rows + 2 * columns + head) % 3)


# The first word of a row's name is the kernel's.
KERNELS = {
    "attention_weights": Row(
        kernels.attention_weights, reference.attention_weights, WEIGHTS, "T S"
    ),
    "attention_weights with bias and mask": Row(
        kernels.attention_weights,
        reference.attention_weights,
        WEIGHTS | BIAS_MASK,
        "T S",
        options={"scale": 0.7},
    ),
    "attend": Row(kernels.attend, reference.attend, ATTEND, "T E"),
    "attend with bias and mask": Row(
        kernels.attend,
        reference.attend,
        ATTEND | BIAS_MASK,
        "T E",
        options={"scale": 0.7},
    ),
    "attend_blocked": Row(
        kernels.attend_blocked,
        reference.attend_blocked,
        HEADS,
        "N T E",
        options={"bias_of": wave, "length": 2048, "block": 2},  # no key is hidden
    ),
    "attend_blocked with hidden keys and factors": Row(
        kernels.attend_blocked,
        reference.attend_blocked,
        HEADS,
        "N T E",
        options={
            "bias_of": wave,
            "length": 4,
            "block": 3,
            "scale": 0.7,
            "factor_of": halves,
            "factor_data": 0.5,
        },  # fmt: skip
    ),
    "content_attention": Row(
        kernels.content_attention, reference.content_attention, ATTEND, "T E"
    ),
    "content_weights": Row(
        kernels.content_weights, reference.content_weights, WEIGHTS, "T S"
    ),
    "relative_attention": Row(
        kernels.relative_attention,
        reference.relative_attention,
        {"query": "T D", "value": "T E", "table": "R D"},
        "T E",
    ),
    "axial_attention": Row(
        kernels.axial_attention,
        reference.axial_attention,
        {"query": "L T D", "value": "L T E", "table": "R D"},
        "L T E",
    ),
    "axial_attention in parts": Row(
        kernels.axial_attention,
        reference.axial_attention,
        {"query": "L T D", "value": "L T E", "table": "R D"},
        "L T E",
        options={"tile_bytes": 250},  # parts of three lines, the last one filled up
    ),
    "relative_weights": Row(
        kernels.relative_weights,
        reference.relative_weights,
        RELATIVE,
        "T T",
        out_dtype="float32",
    ),
    "mix_kernels": Row(kernels.mix_kernels, reference.mix_kernels, MIX, "K K C"),
    "adaptive_average_pool": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "H W C"},
        "3 3 C",
        options={"size": 3},
    ),
    "adaptive_average_pool of equal bins": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "4 6 C"},
        "2 2 C",
        options={"size": 2},
    ),
    "adaptive_average_pool of a small map": Row(
        kernels.adaptive_average_pool,
        reference.adaptive_average_pool,
        {"x": "3 4 C"},
        "7 7 C",
        options={"size": 7},
    ),
    "resize_bicubic": Row(
        kernels.resize_bicubic,
        reference.resize_bicubic,
        {"array": "T S"},
        "9 4",
        options={"shape": (9, 4)},
    ),
    "resize_bicubic of three axes": Row(
        kernels.resize_bicubic,
        reference.resize_bicubic,
        {"array": "2 T S"},
        "2 3 8",
        options={"shape": (2, 3, 8)},
    ),
    "depthwise_conv": Row(
        kernels.depthwise_conv, reference.depthwise_conv, SHARED, "B H W C"
    ),
    "depthwise_conv by example": Row(
        kernels.depthwise_conv, reference.depthwise_conv, PER_EXAMPLE, "B H W C"
    ),
    "depthwise_conv strided": Row(
        kernels.depthwise_conv,
        reference.depthwise_conv,
        SHARED,
        "B 3 3 C",
        options={"stride": 2},
    ),
    "depthwise_conv by example, strided": Row(
        kernels.depthwise_conv,
        reference.depthwise_conv,
        PER_EXAMPLE,
        "B 4 4 C",
        options={"stride": 2, "padding": 2},
    ),
    "channel_weights": Row(
        kernels.channel_weights, reference.channel_weights, CHANNEL_WEIGHTS, "D E"
    ),
    "channel_weights with a mask": Row(
        kernels.channel_weights,
        reference.channel_weights,
        CHANNEL_WEIGHTS | {"mask": "S?"},
        "D E",
    ),
    "channel_attention": Row(
        kernels.channel_attention, reference.channel_attention, CHANNELS, "S D"
    ),
    "channel_attention with a mask": Row(
        kernels.channel_attention,
        reference.channel_attention,
        CHANNELS | {"mask": "S?"},
        "S D",
    ),
    "geodesic_bias": Row(
        kernels.geodesic_bias,
        reference.geodesic_bias,
        {"table": "6"},
        "3 3",
        options={"distances": DISTANCES},
    ),
    "temporal_conv": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "T C", "filters": "7 C"},  # longer than the sequence
        "T C",
    ),
    "temporal_conv strided": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "5 C", "filters": "K C"},
        "3 C",
        options={"stride": 2},
    ),
    "temporal_conv of an even size, strided": Row(
        kernels.temporal_conv,
        reference.temporal_conv,
        {"x": "8 C", "filters": "4 C"},
        "3 C",
        options={"stride": 3},
    ),
    "gelu": Row(kernels.gelu, reference.gelu, {"x": "T D"}, "T D"),
    "split_segments": Row(
        kernels.split_segments,
        reference.split_segments,
        {"x": "7 C"},
        "3 3 C",
        options={"length": 7, "num_segments": 3},
    ),
    "join_segments": Row(
        kernels.join_segments,
        reference.join_segments,
        {"segments": "3 3 C"},
        "7 C",
        options={"length": 7, "num_steps": 7},
    ),
}
# Functions of indices and lengths, in positions_test.py and segments_test.py.
OF_INDICES = {"absolute_bias", "no_bias", "relative_bias", "segment_lengths"}
# Of plain numbers, in structure_test.py.
OF_GRAPHS = {"bone_parents", "geodesic_distances", "shells", "voronoi_parts"}
NO_KERNELS = {"check_shapes", "POSITION_BIASES"}

each_kernel = pytest.mark.parametrize("row", KERNELS.values(), ids=KERNELS.keys())


def test_every_public_kernel_has_a_row():
    rows = {name.split()[0] for name in KERNELS}
    assert rows == set(kernels.__all__) - NO_KERNELS - OF_INDICES - OF_GRAPHS
    for name, row in KERNELS.items():
        assert row.kernel is getattr(kernels, name.split()[0])


@each_kernel
def test_agrees_with_its_twin(row):
    ones = [{"T": 1, "S": 1, "E": 1, "B": 1}, {"D": 1, "R": 1, "C": 1, "G": 1}]
    for seed, sizes in enumerate([{}, *ones]):
        arrays = row.make(seed, **sizes)
        out = row(*arrays)
        assert out.shape == row.shape(**sizes)
        np.testing.assert_allclose(out, row.expected(arrays), rtol=1e-5, atol=1e-6)


@each_kernel
def test_agrees_with_its_twin_in_double_precision(row, x64):
    arrays = row.make()
    out = row(*arrays)
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, row.expected(arrays), rtol=1e-12, atol=1e-13)


@each_kernel
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtype(row, dtype):
    out = jax.eval_shape(row, *cast(row.make(), dtype))
    assert out.shape == row.shape()
    assert out.dtype == (row.out_dtype or dtype)


@pytest.mark.parametrize("name", ["attend", "content_attention", "relative_attention"])
def test_the_result_has_the_dtype_of_value(name):
    row = KERNELS[name]
    arrays = dict(zip(row.arguments, row.make(), strict=True))
    arrays["value"] = arrays["value"].astype(jnp.bfloat16)
    assert jax.eval_shape(row, *arrays.values()).dtype == jnp.bfloat16


@each_kernel
def test_jit(row):
    arrays = row.make()
    np.testing.assert_allclose(
        jax.jit(row)(*arrays), row(*arrays), rtol=1e-5, atol=1e-6
    )


@each_kernel
def test_vmap_equals_a_loop(row):
    examples = [row.make(seed) for seed in range(3)]
    stacked = [jnp.stack(arrays) for arrays in zip(*examples, strict=True)]
    out = jax.vmap(row.__call__)(*stacked)
    looped = np.stack([row(*arrays) for arrays in examples])
    np.testing.assert_allclose(out, looped, rtol=1e-5, atol=1e-6)


@each_kernel
def test_nested_vmap_over_chosen_axes(row):
    examples = [[row.make(3 * i + j) for j in range(3)] for i in range(2)]
    inner = [[jnp.stack(a, -1) for a in zip(*few, strict=True)] for few in examples]
    stacked = [jnp.stack(arrays) for arrays in zip(*inner, strict=True)]
    out = jax.vmap(jax.vmap(row.__call__, in_axes=-1, out_axes=-1))(*stacked)
    for i in range(2):
        for j in range(3):
            one = row.expected(examples[i][j])
            np.testing.assert_allclose(out[i, ..., j], one, rtol=1e-5, atol=1e-6)


@each_kernel
def test_gradients_are_finite(row):
    function = gradients_of(row)
    for factor in (1, 0, 1e3):
        arrays = [a if a.dtype == bool else factor * a for a in row.make()]
        assert np.isfinite(row(*arrays)).all()
        for gradient in function(*arrays):
            assert np.isfinite(gradient).all()


@each_kernel
def test_gradients_in_double_precision(row, x64):
    arrays = row.make()
    floats = [arrays[place] for place in row.differentiable]

    @jax.jit
    def function(*floats):
        filled = list(arrays)
        for place, array in zip(row.differentiable, floats, strict=True):
            filled[place] = array
        return row(*filled)

    jax.test_util.check_grads(
        function, floats, order=1, modes=["rev"], atol=1e-7, rtol=1e-7
    )


@each_kernel
def test_gradients_in_bfloat16(row):
    arrays = cast(row.make(), jnp.bfloat16)
    narrow = gradients_of(row)(*arrays)
    wide = gradients_of(row)(*cast(arrays, np.float32))
    for one, other, place in zip(narrow, wide, row.differentiable, strict=True):
        assert one.dtype == arrays[place].dtype
        assert relative_error(one, other) < 0.03


# All but those that work on each value by itself.
SUMMED = {name: row for name, row in KERNELS.items() if row.kernel is not kernels.gelu}


@pytest.mark.parametrize("row", SUMMED.values(), ids=SUMMED.keys())
@pytest.mark.parametrize("length", [8, 2048])
def test_bfloat16_errors_do_not_grow_with_length(row, length):
    """Sums of one sign, which stand still at 256 if they are kept in bfloat16."""
    sizes = {"T": 8, "S": length, "H": length, "G": length}
    if "table" in row.arguments:
        sizes = {"T": length, "R": 2 * length - 1}
    arrays = row.make(draw=np.random.Generator.random, **sizes)
    arrays = cast(arrays, jnp.bfloat16)
    narrow = jax.jit(row)(*arrays)
    wide = jax.jit(row)(*cast(arrays, np.float32))
    # Two roundings to eight bits: of the weights, of the result.
    assert relative_error(narrow, wide) < 2**-7


@each_kernel
def test_no_matmul_sums_in_bfloat16(row):
    """What the test above cannot see where the processor happens to use float32."""
    jaxpr = jax.make_jaxpr(row)(*cast(row.make(), jnp.bfloat16))
    for primitive, dtype in outputs(jaxpr.jaxpr):
        if primitive in ("dot_general", "reduce_sum", "cumsum"):
            assert dtype == jnp.float32


def cast(arrays, dtype):
    return tuple(a if a.dtype == bool else jnp.asarray(a, dtype) for a in arrays)


def gradients_of(row):
    weights = np.random.default_rng(9).standard_normal(row.shape())
    weights = jnp.asarray(weights, jnp.bfloat16).astype(np.float32)  # exact in either

    def objective(*arrays):
        return (row(*arrays) * weights).sum()

    return jax.jit(jax.grad(objective, argnums=row.differentiable))


def relative_error(one, other):
    one, other = np.asarray(one, np.float32), np.asarray(other, np.float32)
    return np.abs(one - other).max() / np.abs(other).max()


def outputs(jaxpr):
    """(primitive, dtype of a result) of every equation, inner ones included."""
    for equation in jaxpr.eqns:
        for out in equation.outvars:
            yield equation.primitive.name, out.aval.dtype
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from outputs(inner)
