"""Stacks of blocks by name: what stands for which block, and the way back."""

import jax
import numpy as np
import optax

from gpsattn_jax import stacks

NUMBERS = np.arange(6, dtype=np.float32).reshape(3, 2)


def tree():
    return {"blocks": {"0-2": {"a": NUMBERS}, "3-3": {"a": NUMBERS[:1]}}, "b": NUMBERS}


def test_names():
    name = "params/blocks/9-11/norm/scale"
    assert stacks.block_names(name) == [
        f"params/blocks/{n}/norm/scale" for n in (9, 10, 11)
    ]
    assert stacks.stack_name(range(9, 12)) == "9-11"
    for other in ("blocks/9/norm", "blocks/a9-11/norm", "1-2", "head/kernel"):
        assert stacks.block_names(other) is None
    assert stacks.shape_of_block(name, (3, 7)) == (7,)
    assert stacks.shape_of_block("head/bias", (3, 7)) == (3, 7)
    assert stacks.by_block(str.upper, "a/1-2/b") == ["A/1/B", "A/2/B"]
    assert stacks.by_block(str.upper, "a/b") == ["A/B"]
    assert stacks.has_stacks(tree()) and not stacks.has_stacks(stacks.unstack(tree()))


def test_unstacking_gives_each_block_its_row():
    found = stacks.unstack(tree())
    assert list(found["blocks"]) == [0, 1, 2, 3]
    np.testing.assert_array_equal(found["blocks"][1]["a"], NUMBERS[1])
    np.testing.assert_array_equal(found["blocks"][3]["a"], NUMBERS[0])
    assert found["b"] is not None and found["b"].shape == (3, 2)
    shapes = stacks.unstack(jax.eval_shape(lambda: tree()))
    assert shapes["blocks"][2]["a"].shape == (2,)


def test_stacking_is_the_way_back_in_an_optimizer_s_state_too():
    for wanted in (tree(), optax.adamw(1e-3).init(tree())):
        blocks = stacks.by_name(stacks.unstack(wanted))
        found = stacks.stack(blocks, wanted, lambda rows, _: np.stack(rows))
        assert jax.tree.structure(found) == jax.tree.structure(wanted)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
