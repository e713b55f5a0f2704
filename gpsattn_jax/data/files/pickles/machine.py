"""A machine for pickles that can do nothing but build data.

A pickle is a small program. This machine knows the instructions of protocols 0 to 5
that plain data need, and makes dicts, lists, tuples, sets, texts and numbers; it
imports nothing, and for a name in the file it has what its caller gives for that name.
`pickletools` of the standard library describes the instructions.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

from gpsattn_jax.data.files.pickles.instructions import instructions
from gpsattn_jax.data.files.pickles.parts import (
    Builder,
    Inert,
    Pending,
    check,
    plain_dict,
    plain_set,
)

MOST_DEPTH = 100  # deeper ones would break the interpreter's stack when they are read
# Expanded, what a file of so many bytes holds: elements, and eight characters each.
FREE_ELEMENTS, ELEMENTS_PER_BYTE = 100_000, 16
FREE_OBJECTS, BYTES_PER_OBJECT = 10_000, 2
CONTAINERS = (dict, list, tuple, set, frozenset)

Find = Callable[[str], Builder | Inert]


class Machine:
    """Runs the pickles of one file; what they build cannot hold itself.

    Args:
        size: of the pickles in bytes, which bounds what they may build.
        find: name -> what the file gets for it; raises ValueError for others.
        persistent: what the file gets for a persistent id, if it may have any.
        most_steps: instructions of a pickle, where fewer than its bytes are enough.
    """

    def __init__(
        self,
        size: int,
        find: Find,
        persistent: Callable[[Any], Any] | None = None,
        *,
        most_steps: int | None = None,
    ) -> None:
        self.size, self.find, self.persistent = size, find, persistent
        self.most_steps = size if most_steps is None else most_steps
        self.most_elements = FREE_ELEMENTS + ELEMENTS_PER_BYTE * size
        self.objects_left = FREE_OBJECTS + size // BYTES_PER_OBJECT

    def run(self, file: io.BytesIO) -> Any:
        """Runs one pickle; the file is left behind it.

        Raises:
            ValueError: for what is unknown, unsafe or out of bounds. Nonsense raises
                LookupError, TypeError, … as well.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        # Containers that are being filled. Those that were fetched again are not.
        self.growing: set[int] = set()
        # Of each container by id: (depth, elements if all that it holds is expanded).
        self.sizes: dict[int, tuple[int, int]] = {}
        for number, (name, argument) in enumerate(instructions(file)):
            if name == "STOP":
                (result,) = self.stack
                self.measure([result])
                return result
            check(number < self.most_steps, f"it has more than {number} instructions")
            check(name in _STEPS, f"it has the pickle instruction {name}")
            _STEPS[name](self, argument)
        raise ValueError("the pickle is exhausted before its end")

    def push(self, value: Any) -> None:
        if isinstance(value, CONTAINERS):
            self.count_object()
            self.growing.add(id(value))
            self.sizes[id(value)] = self.measure(_children(value))
        self.stack.append(value)

    def count_object(self) -> None:
        self.objects_left -= 1
        check(self.objects_left >= 0, "it makes more objects than its size allows")

    def measure(self, children: Iterable[Any]) -> tuple[int, int]:
        """(depth, elements) of a container of these; checks both."""
        depth, count = 0, 1
        for child in children:
            check(not isinstance(child, Pending), "it uses an array before its content")
            if isinstance(child, CONTAINERS):
                below, within = self.sizes[id(child)]
                depth, count = max(depth, below), count + within
            else:
                count += 1 + (len(child) // 8 if isinstance(child, str | bytes) else 0)
        check(depth < MOST_DEPTH, f"it is nested more than {MOST_DEPTH} deep")
        self.check_count(count)
        return depth + 1, count

    def check_count(self, count: int) -> None:
        most = self.most_elements
        fine = count <= most
        check(fine, f"references to the same things make more than {most} elements")

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
        self.count_object()
        near = 0 <= place <= self.size
        check(near, f"it stores at {place}, beyond the file's {self.size} bytes")
        self.memo[place] = self.stack[-1]
        if isinstance(self.stack[-1], Pending):
            self.stack[-1].places.append(place)

    def fetch(self, place: int) -> None:
        self.growing.discard(id(self.memo[place]))
        self.stack.append(self.memo[place])

    def top(self, kind: type) -> Any:
        """The container that is being filled; a new one for an object that is inert."""
        top = self.stack[-1]
        if isinstance(top, Inert):
            return kind()
        new = isinstance(top, kind) and id(top) in self.growing
        check(new, f"it fills what is no new {kind.__name__}")
        return top

    def grow(self, target: Any, children: Iterable[Any]) -> None:
        more = self.measure(children)
        depth, count = self.sizes.get(id(self.stack[-1]), (1, 0))
        self.check_count(count + more[1])
        if target is self.stack[-1]:
            self.sizes[id(target)] = max(depth, more[0]), count + more[1]

    def extend(self, taken: list[Any]) -> None:
        target = self.top(list)
        self.grow(target, taken)
        target.extend(taken)

    def add(self, taken: list[Any]) -> None:
        target = self.top(set)
        self.grow(target, taken)
        target |= plain_set(taken)

    def set_items(self, taken: list[Any]) -> None:
        target = self.top(dict)
        self.grow(target, taken)
        target |= plain_dict(zip(taken[::2], taken[1::2], strict=True))

    def name(self, *parts: str) -> None:
        self.push(self.find(".".join(parts).replace("numpy._core.", "numpy.core.")))

    def call(self) -> None:
        function, arguments = self.take(2)
        known = isinstance(function, Builder | Inert)
        check(known and isinstance(arguments, tuple), "it calls what is no function")
        inert = isinstance(function, Inert)
        self.push(Inert(function.name) if inert else function.function(*arguments))

    def build(self) -> None:
        """The state of an object: it completes what is pending, else it is left out."""
        (state,) = self.take(1)
        pending = self.stack[-1]
        if not isinstance(pending, Pending):
            self.top(dict)
            return
        self.stack.pop()
        self.push(pending.finish(state))
        for place in pending.places:
            self.memo[place] = self.stack[-1]

    def find_persistent(self) -> None:
        (reference,) = self.take(1)
        check(self.persistent is not None, "it has the pickle instruction BINPERSID")
        if self.persistent is not None:
            self.push(self.persistent(reference))


def _children(container):
    if isinstance(container, dict):
        return [*container, *container.values()]
    return container


_LEAVES = {
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING",
    "BINUNICODE", "BINUNICODE8", "FLOAT", "INT", "LONG", "LONG1", "LONG4", "STRING",
    "SHORT_BINBYTES", "SHORT_BINSTRING", "SHORT_BINUNICODE", "UNICODE",
}  # fmt: skip

# Instruction: what it does, given the machine and its argument.
_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, count: check(count <= machine.size, "a frame is cut"),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    **dict.fromkeys(_LEAVES, Machine.push),
    "BYTEARRAY8": lambda machine, value: machine.push(bytes(value)),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_SET": lambda machine, _: machine.push(set()),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "DICT": lambda machine, _: machine.push(plain_dict(_pairs(machine.take_marked()))),
    "LIST": lambda machine, _: machine.push(machine.take_marked()),
    "FROZENSET": lambda machine, _: machine.push(plain_set(machine.take_marked())),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.take_marked())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.take(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.take(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.take(3))),
    "APPEND": lambda machine, _: machine.extend(machine.take(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.take_marked()),
    "ADDITEMS": lambda machine, _: machine.add(machine.take_marked()),
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.take_marked()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.store),
    "MEMOIZE": lambda machine, _: machine.store(len(machine.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.fetch),
    "GLOBAL": lambda machine, name: machine.name(*name.split(" ")),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.take(2)),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
    "BINPERSID": lambda machine, _: machine.find_persistent(),
}


def _pairs(taken):
    return zip(taken[::2], taken[1::2], strict=True)
