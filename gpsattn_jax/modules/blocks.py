"""Blocks one after the other, whose arrays are stacked: few arrays, one compilation."""

import functools
import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import nnx

from gpsattn_jax.modules.functional import rematerialize
from gpsattn_jax.stacks import stack_name


class Blocks(nnx.Module):
    """Blocks of a network; those in a row that are made alike are held as one module.

    The arrays of blocks 1, 2 and 3 are found under `1-3`, [3, …] each (see `stacks`).
    So an optimizer has a quarter of the arrays, and training compiles one block where
    it would compile three. Whoever wants single blocks gets them: `blocks[2]`, or all
    in a loop; they have arrays of their own, and are for reading and evaluation.

    Args:
        make: makes a block: `make(*arguments, rngs=rngs)`.
        arguments: of each block; neighbours with equal ones are alike.
        unroll: up to so many alike blocks stand one after the other in the trained
            program, too, not in a loop. A loop compiles one block instead of all, and
            on a CPU a step takes a tenth longer, as it writes what the gradient needs
            into stacked arrays.
        rngs: random streams for the initial values; every block draws its own.
    """

    def __init__(
        self,
        make: Callable[..., nnx.Module],
        arguments: Sequence[tuple[Hashable, ...]],
        *,
        unroll: int = 1,
        rngs: nnx.Rngs,
    ):
        names, first = [], 0
        for own, alike in itertools.groupby(arguments):
            count = len(list(alike))
            names.append(stack_name(range(first, first + count)))
            first += count
            setattr(self, names[-1], _made(make, own, count, rngs))
        self.names, self.unroll = tuple(names), unroll

    def stacks(self) -> list["Stack"]:
        """Alike blocks together, from the first to the last, to be trained."""
        return [Stack(getattr(self, n), n, self.unroll) for n in self.names]

    def keep_statistics(self, blocks: Sequence[nnx.Module]) -> None:
        """Takes over what training changed in blocks that a loop gave, all of them."""
        for stack in self.stacks():
            own = blocks[stack.numbers.start : stack.numbers.stop]
            states = [nnx.state(block, nnx.Not(nnx.Param)) for block in own]
            nnx.update(stack.module, jax.tree.map(lambda *s: jnp.stack(s), *states))

    def __len__(self) -> int:
        """How many blocks there are."""
        return self.stacks()[-1].numbers.stop

    def __iter__(self) -> Iterator[nnx.Module]:
        """Each block, from the first to the last."""
        return itertools.chain.from_iterable(s.blocks() for s in self.stacks())

    def __getitem__(self, number: int) -> nnx.Module:
        """One block; -1 is the last."""
        number = range(len(self))[number]
        stack = next(s for s in self.stacks() if number in s.numbers)
        graphdef, arrays = nnx.split(stack.module)
        place = number - stack.numbers.start
        return nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[place], arrays))


class Stack:
    """Alike blocks as one function, `x = block(x, *inputs, each[i])` one by one.

    Args:
        module: one block whose arrays have an axis of blocks in front.
        name: the blocks' numbers, as `stacks.stack_name` writes them.
        unroll: see `Blocks`.
    """

    def __init__(self, module: nnx.Module, name: str, unroll: int = 1):
        first, last = map(int, name.split("-"))
        self.module, self.numbers = module, range(first, last + 1)
        self.unroll = unroll

    def blocks(self) -> list[nnx.Module]:
        """Each block, with arrays of its own."""
        graphdef, arrays = nnx.split(self.module)
        count = len(self.numbers)
        leaves, tree = jax.tree.flatten(arrays)
        # Not slices: the gradient of a split is one array, not a sum of padded ones.
        rows = [jax.lax.split(leaf, (1,) * count) for leaf in leaves]
        return [
            nnx.merge(graphdef, jax.tree.unflatten(tree, [row[0] for row in block]))
            for block in zip(*rows, strict=True)
        ]

    def __call__(
        self,
        x: chex.Array,
        *inputs: Any,
        each: chex.Array | None = None,
        train: bool = False,
        rngs: nnx.Rngs | None = None,
        remat: bool = False,
    ) -> chex.Array:
        """Traces one block, and runs all of them.

        Args:
            x: what goes from one block to the next.
            *inputs: what all of them take.
            each: [blocks, …], what each of them takes after that.
            train: passed on; then the blocks' statistics are updated.
            rngs: passed on; every block draws its own numbers.
            remat: see `rematerialize`.

        Returns:
            What the last block returns.
        """
        graphdef, arrays = nnx.split(self.module)
        count = len(self.numbers)
        keys = None if rngs is None else jax.random.split(rngs.dropout(), count)

        def step(x, own):
            arrays, key, each = own
            block: Any = nnx.merge(graphdef, arrays)
            run = functools.partial(rematerialize, block) if remat else block
            inner_rngs = None if key is None else nnx.Rngs(dropout=key)
            last = () if each is None else (each,)
            x = run(x, *inputs, *last, train=train, rngs=inner_rngs)
            return x, nnx.state(block, nnx.Not(nnx.Param))

        if count == 1:  # no loop
            x, states = step(
                x, jax.tree.map(lambda leaf: leaf[0], (arrays, keys, each))
            )
            states = jax.tree.map(lambda leaf: leaf[None], states)
        else:
            own = arrays, keys, each
            x, states = jax.lax.scan(step, x, own, unroll=count <= self.unroll)
        nnx.update(self.module, states)
        return x


def _made(make, own, count, rngs):
    """A module whose arrays have an axis of blocks in front."""
    keys = jax.random.split(rngs.params(), count)
    return nnx.vmap(lambda key: make(*own, rngs=nnx.Rngs(key)))(keys)
