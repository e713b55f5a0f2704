"""A step and an evaluation are compiled once for each shape of their batch."""

import jax
import jax.numpy as jnp
import pytest

from gpsattn_jax.platforms import known_platform
from gpsattn_jax.training.compiled import _traced_once, compiled_once


def step(state, batch):
    return state + batch["x"].sum(), state


def test_each_shape_is_traced_once():
    traces = []

    def counting(state, batch):
        traces.append(batch["x"].shape)
        return step(state, batch)

    advance = compiled_once(counting)
    state = jnp.float32(0)
    for size in (3, 5, 3, 3, 5):
        state, _ = advance(state, {"x": jnp.ones(size)})
    assert traces == [(3,), (5,)] and state == 19


def test_a_second_trace_is_refused():
    """A state that changes its type would be compiled again without a word."""
    advance = compiled_once(step, varying=(1,))
    batch = {"x": jnp.ones(3)}
    advance(jnp.float32(0), batch)
    with pytest.raises(AssertionError, match="'step_[0-9]+' is traced > 1 times"):
        advance(jnp.float16(0), batch)


def test_cleared_caches_allow_another_trace():
    """Tests and the run on an accelerator clear them between parts."""
    seen = []
    advance = compiled_once(lambda x: seen.append(known_platform()) or x)
    for _ in range(2):
        advance(jnp.ones(3))
        advance(jnp.ones(3))
        jax.clear_caches()
    assert seen == 2 * [jax.default_backend()]


def test_weights_of_another_type_may_be_asked_for():
    """By default all arguments vary: an evaluation serves weights of two kinds."""
    advance = compiled_once(step)
    for state in (jnp.float32(1), jnp.float16(1), jnp.float32(2)):
        out, _ = advance(state, {"x": jnp.ones(3)})
        assert out == state + 3 and out.dtype == jnp.float32


def test_runs_beside_each_other_are_counted_for_themselves():
    """As a grid of seeds makes them: the same lines, compiled for each."""
    for _ in range(3):
        advance = compiled_once(step, donate_argnums=0)
        state, _ = advance(jnp.float32(1), {"x": jnp.ones(3)})
        assert state == 4


def test_the_name_is_the_same_in_every_run():
    """The cache of compiled programs knows them by it."""
    for _ in range(2):
        assert _traced_once(step).__name__ == "step"


def test_what_is_compiled_here_holds_the_forms_for_here():
    seen = []
    compiled_once(lambda x: seen.append(known_platform()) or x)(jnp.ones(3))
    assert seen == [jax.default_backend()] and known_platform() is None
