"""Looks a pickle's program through before it runs."""

import pickletools
from typing import Any

# Deeper tuples would break the interpreter's stack when they are hashed.
MOST_DEPTH = 50
# Names outside the file, code by number, classes, sets, foreign buffers, and what only
# a program that was not written by a pickler needs.
_REFUSED = {
    "ADDITEMS", "BINPERSID", "DUP", "EMPTY_SET", "EXT1", "EXT2", "EXT4", "FROZENSET",
    "INST", "NEWOBJ", "NEWOBJ_EX", "NEXT_BUFFER", "OBJ", "PERSID", "POP", "POP_MARK",
    "READONLY_BUFFER",
}  # fmt: skip
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_STORES = {"PUT", "BINPUT", "LONG_BINPUT"}
_FETCHES = {"GET", "BINGET", "LONG_BINGET"}
_MARK = -1  # on the stack of depths


def check_program(content: bytes) -> None:
    """Follows a pickle's stack, of which it keeps only how deep its tuples are.

    Args:
        content: the whole pickle.

    Raises:
        ValueError: for instructions that no plain data needs, a memo or tuples that
            would break the interpreter, a stack or a file that ends too soon.
    """
    stack: list[int] = []
    memo: dict[int, int] = {}
    argument: Any
    for code, argument, _ in pickletools.genops(content):
        name = code.name
        if name in _REFUSED:
            raise ValueError(f"it has the instruction {name}.")
        if name in _STORES or name == "MEMOIZE":
            place = len(memo) if name == "MEMOIZE" else _place(argument, len(content))
            memo[place] = stack[-1]
        elif name in _FETCHES:
            stack.append(memo[int(argument)])
        else:
            _follow(code, stack)
            if name in _TUPLES and stack[-1] > MOST_DEPTH:
                raise ValueError(f"its tuples are more than {MOST_DEPTH} deep.")


def _place(argument, most):
    """The interpreter makes a memo as long as its last place: keep it in the file."""
    place = int(argument)
    if not 0 <= place <= most:
        raise ValueError(f"it stores at {place}, beyond the file's {most} bytes.")
    return place


def _follow(code: Any, stack: list[int]) -> None:
    if code.name == "MARK":
        stack.append(_MARK)
        return
    before, after = _EFFECTS[code.name]
    taken = []
    if before < 0:
        while (top := stack.pop()) != _MARK:
            taken.append(top)
        before = -before - 1
    for _ in range(before):
        taken.append(stack.pop())
    if _MARK in taken:
        raise ValueError("its stack is out of order.")
    depth = 1 + max(taken, default=0) if code.name in _TUPLES else 0
    stack.extend([depth] * after)


def _effect(code):
    """(values taken, values left); taken is -1 - n if all to a mark, and n below it."""
    before = code.stack_before
    if pickletools.markobject in before:
        return -1 - before.index(pickletools.markobject), len(code.stack_after)
    return len(before), len(code.stack_after)


_EFFECTS = {code.name: _effect(code) for code in pickletools.opcodes}
