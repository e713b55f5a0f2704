"""A machine for PyTorch's pickles that can do nothing but build data.

A pickle is a small program. This machine knows three dozen of its instructions and
makes dicts, lists, tuples, texts, numbers and NumPy arrays; it imports nothing and
calls four functions of its own. `pickletools` of the standard library describes the
instructions.
"""

import io
import math
import pickletools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

STORAGES = {
    "torch.BFloat16Storage": jnp.dtype("bfloat16"),
    "torch.BoolStorage": np.dtype(np.bool_),
    "torch.ByteStorage": np.dtype("<u1"),
    "torch.CharStorage": np.dtype("<i1"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.ShortStorage": np.dtype("<i2"),
}
MOST_AXES = 32
NUMBERS_AND_TEXTS = (
    "BINFLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "BINSTRING",
    "BINUNICODE",
    "LONG1",
    "SHORT_BINSTRING",
    "SHORT_BINUNICODE",
)


class _Global(str):
    """The name of one of the few things that a file may name."""


class PickleMachine:
    """Runs the pickles of one file; what they build cannot hold itself.

    Args:
        size: of the file in bytes; all storages together are no larger.

    Attributes:
        storages: by key, the flat arrays into which the tensors look. They are zero
            until someone fills them.
    """

    def __init__(self, size: int):
        self.room = size
        self.storages: dict[str, np.ndarray] = {}

    def run(self, file: io.BytesIO) -> Any:
        """Runs one pickle; the file is left behind it.

        Raises:
            ValueError: for what is unknown, unsafe or out of bounds. Nonsense raises
                LookupError, TypeError, … as well.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        # Dicts and lists that are being filled. Those that were fetched again are not.
        self.growing: set[int] = set()
        for code, argument, _ in pickletools.genops(file):
            if code.name == "STOP":
                (result,) = self.stack
                return result
            check(code.name in _STEPS, f"it has the pickle instruction {code.name}")
            _STEPS[code.name](self, argument)
        raise ValueError("a pickle without end")

    def push(self, value: Any) -> None:
        if isinstance(value, dict | list):
            self.growing.add(id(value))
        self.stack.append(value)

    def take(self, count: int) -> list[Any]:
        floor = self.marks[-1] if self.marks else 0
        start = len(self.stack) - count
        check(start >= floor, "its stack is empty")
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def take_marked(self) -> list[Any]:
        taken = self.take(len(self.stack) - self.marks[-1])
        self.marks.pop()
        return taken

    def store(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def fetch(self, place: int) -> None:
        self.growing.discard(id(self.memo[place]))
        self.stack.append(self.memo[place])

    def top(self, kind: type) -> Any:
        """The dict or list that is being filled."""
        top = self.stack[-1]
        new = isinstance(top, kind) and id(top) in self.growing
        check(new, f"it fills what is no new {kind.__name__}")
        return top

    def extend(self, taken: list[Any]) -> None:
        self.top(list).extend(taken)

    def set_items(self, taken: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(taken[::2], taken[1::2], strict=True):
            # To hash a deep tuple would break the interpreter's stack.
            plain = key is None or isinstance(key, str | int | float)
            check(plain, f"a dict has a key of type {type(key).__name__}")
            target[key] = value

    def find(self, name: str) -> None:
        known = name in STORAGES or name in _CALLS
        check(known, f"it holds {name}, which might run code")
        self.push(_Global(name))

    def call(self) -> None:
        function, arguments = self.take(2)
        known = isinstance(function, _Global) and function in _CALLS
        check(known and isinstance(arguments, tuple), "it calls what is no function")
        self.push(_CALLS[function](*arguments))

    def build(self) -> None:
        """Attributes of an object: left out."""
        self.take(1)
        self.top(dict)

    def find_storage(self) -> None:
        """("storage", type, key, device, count), once followed by a view or None."""
        (told,) = self.take(1)
        kind, name, key, _, count, *view = told
        known = isinstance(name, _Global) and name in STORAGES and isinstance(key, str)
        check(known and kind == "storage" and view in ([], [None]), "a strange storage")
        dtype = STORAGES[name]
        if key not in self.storages:
            fits = _is_count(count) and count * dtype.itemsize <= self.room
            check(fits, f"storage {key!r} of {count!r} numbers exceeds the file")
            self.room -= count * dtype.itemsize
            self.storages[key] = np.zeros(count, dtype)
        found = self.storages[key]
        same = (found.dtype, len(found)) == (dtype, count)
        check(same, f"storage {key!r} is told in two ways")
        self.push(found)


def _tensor(storage, offset, size, strides, requires_grad, hooks, metadata=None):
    """A view into a storage."""
    del requires_grad, hooks, metadata
    check(_is_inside(storage, offset, size, strides), "a tensor outside its storage")
    steps = [step * storage.itemsize for step in strides]
    start = 0 if 0 in size else offset * storage.itemsize
    return np.ndarray(size, storage.dtype, storage, start, steps)


def _is_inside(storage, offset, size, strides):
    if not (isinstance(size, tuple) and isinstance(strides, tuple)):
        return False
    if not isinstance(storage, np.ndarray) or storage.ndim != 1:
        return False
    if len(size) != len(strides) or len(size) > MOST_AXES:
        return False
    if not all(map(_is_count, (offset, *size, *strides))):
        return False
    last = offset + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
    # Strides of zero would make a large tensor of a small storage.
    return 0 in size or (math.prod(size) <= len(storage) and last < len(storage))


def _parameter(tensor, requires_grad, hooks):
    del requires_grad, hooks
    check(isinstance(tensor, np.ndarray), "a parameter that is no tensor")
    return tensor


_CALLS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": lambda: {},
    "collections.OrderedDict": lambda: {},
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
}

# Instruction: what it does, given the machine and its argument.
_STEPS: dict[str, Callable[[PickleMachine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(NUMBERS_AND_TEXTS, PickleMachine.push),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.take_marked())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_marked()),
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.take_marked()),
    "BINPUT": PickleMachine.store,
    "LONG_BINPUT": PickleMachine.store,
    "MEMOIZE": lambda machine, _: machine.store(len(machine.memo)),
    "BINGET": PickleMachine.fetch,
    "LONG_BINGET": PickleMachine.fetch,
    "GLOBAL": lambda machine, name: machine.find(name.replace(" ", ".")),
    "STACK_GLOBAL": lambda machine, _: machine.find(".".join(machine.take(2))),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.find_storage(),
}


def _is_count(value):
    return type(value) is int and value >= 0


def check(fine: bool, complaint: str) -> None:
    """Raises ValueError unless it is fine."""
    if not fine:
        raise ValueError(complaint)
