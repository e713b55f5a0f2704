"""What every kernel promises: shapes, dtypes, gradients, transforms.

What covers what: mapping twice over chosen axes covers mapping once over the first; the
twins' compiled variant, the compiled gradients and `jit_test.py` cover `jax.jit`; one
test asks for three dtypes, since it traces and computes nothing. On a second JAX the
twins, the gradients in double precision and the dtypes stand for what `one_jax` marks.
"""

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from absl.testing import parameterized

from gpsattn_jax import kernels
from tests.kernels.rows import KERNELS, NO_ROWS, cast

each_kernel = pytest.mark.parametrize("row", KERNELS.values(), ids=KERNELS.keys())


def test_every_public_kernel_has_a_row():
    rows = {name.split()[0] for name in KERNELS}
    assert rows == set(kernels.__all__) - NO_ROWS
    for name, row in KERNELS.items():
        name = name.split()[0]
        assert row.kernel.__name__.startswith(name) and hasattr(kernels, name)


class Twins(chex.TestCase):
    """Every kernel against its twin, as it is and compiled."""

    @chex.variants(with_jit=True, without_jit=True)
    @parameterized.named_parameters(*KERNELS.items())
    def test_agrees_with_its_twin(self, row):
        ones = [{"T": 1, "S": 1, "E": 1, "B": 1}, {"D": 1, "R": 1, "C": 1, "G": 1}]
        call = self.variant(row.__call__)
        for seed, sizes in enumerate([{}, *ones]):
            arrays = row.make(seed, **sizes)
            out = call(*arrays)
            chex.assert_shape(out, row.shape(**sizes))
            expected = np.asarray(row.expected(arrays), out.dtype)
            chex.assert_trees_all_close(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.one_jax
@each_kernel
def test_agrees_with_its_twin_in_double_precision(row, x64):
    arrays = row.make()
    out = row(*arrays)
    assert out.dtype == np.float64
    chex.assert_trees_all_close(out, row.expected(arrays), rtol=1e-12, atol=1e-13)


@each_kernel
def test_dtypes(row):
    for dtype in ("float16", "bfloat16", "float32"):
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


@pytest.mark.one_jax
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


@pytest.mark.one_jax
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


@pytest.mark.one_jax
@each_kernel
def test_no_matmul_sums_in_bfloat16(row):
    """What the test above cannot see where the processor happens to use float32."""
    jaxpr = jax.make_jaxpr(row)(*cast(row.make(), jnp.bfloat16))
    for primitive, dtype in outputs(jaxpr.jaxpr):
        if primitive in ("dot_general", "reduce_sum", "cumsum"):
            assert dtype == jnp.float32


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
