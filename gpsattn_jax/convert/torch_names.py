"""The names that PyTorch's files hold, and what a file gets for each.

Tensors and parameters become arrays; what training scripts put beside them becomes
inert. A function that a file calls is refused, unless it stands here.
"""

import math
import re
import sys
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from gpsattn_jax.data.files.pickles import (
    Builder,
    Find,
    Inert,
    array_builders,
    check,
    plain_dict,
    refuse,
)

_DTYPES = {
    "torch.BFloat16Storage": jnp.dtype("bfloat16"),
    "torch.BoolStorage": np.dtype(np.bool_),
    "torch.ByteStorage": np.dtype("<u1"),
    "torch.CharStorage": np.dtype("<i1"),
    "torch.ComplexDoubleStorage": np.dtype("<c16"),
    "torch.ComplexFloatStorage": np.dtype("<c8"),
    "torch.DoubleStorage": np.dtype("<f8"),
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.HalfStorage": np.dtype("<f2"),
    "torch.IntStorage": np.dtype("<i4"),
    "torch.LongStorage": np.dtype("<i8"),
    "torch.ShortStorage": np.dtype("<i2"),
}
# Types without a storage of their own; those of fewer than 16 bits are only named.
_LATER_DTYPES = {
    f"torch.uint{bits}": np.dtype(f"<u{bits // 8}") for bits in (16, 32, 64)
}
_SHORT_FLOATS = [
    "float4_e2m1fn_x2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "float8_e8m0fnu",
]  # fmt: skip
MOST_AXES = 32


class Storage(Builder):
    """The type of a tensor's numbers, which a file may name but not call."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype) -> None:
        super().__init__(_no_function)
        self.dtype = dtype


def _no_function(*arguments):
    raise ValueError("it calls what is no function")


# Python's own classes that do nothing; of the rest of its library nothing may be named.
_CLASSES = {
    "collections": "Counter",
    "copyreg": "_reconstructor",
    "copy_reg": "_reconstructor",
    "datetime": "date datetime time timedelta timezone",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "pathlib": "Path PosixPath PurePath PurePosixPath PureWindowsPath WindowsPath",
    "pathlib._local": "Path PosixPath PurePath PurePosixPath PureWindowsPath "
    "WindowsPath",
    "torch": "Size device bool float16 bfloat16 float32 float64 int8 int16 int32 int64 "
    "uint8 complex64 complex128 half float double long int short",
    "types": "SimpleNamespace",
    "uuid": "UUID",
}
_TYPES = "bool bytes bytearray complex dict float frozenset int list object set str"
for _builtins in ("builtins", "__builtin__"):
    _CLASSES[_builtins] = f"{_TYPES} slice tuple"
_INERT = {
    f"{room}.{name}" for room, names in _CLASSES.items() for name in names.split()
}
_INERT |= {*_LATER_DTYPES, *(f"torch.{name}" for name in _SHORT_FLOATS)}
_PYTHON = {*sys.stdlib_module_names, "__builtin__", "copy_reg", "commands"}
# A class by its name (PEP 8), in any other module.
_CLASS = re.compile(r"[\w.]+\._?[A-Z][A-Za-z0-9]*_?")


def torch_names(size: int) -> Find:
    """Name -> what a file of so many bytes gets for it; raises ValueError for others.

    A class of somebody's own, such as a config, is inert, as its objects are. Python's
    library, functions, and what is inside of others are refused: they might run code.
    """
    builders = array_builders(size) | BUILDERS

    def find(name):
        if name in builders:
            return builders[name]
        room, _, last = name.partition(".")
        own = room not in _PYTHON or room == "typing"
        own = own and "__" not in name.removeprefix("__main__.")
        if name in _INERT or (own and _CLASS.fullmatch(name)):
            return Inert(name)
        refuse(name)

    return find


class Storages:
    """The flat arrays into which the tensors of a file look, zero until filled.

    Args:
        size: of the file in bytes; all storages together are no larger.

    Attributes:
        by_key: the arrays.
    """

    def __init__(self, size: int) -> None:
        self._room = size
        self.by_key: dict[str, np.ndarray] = {}

    def find(self, reference: Any) -> np.ndarray:
        """("storage", type, key, device, count), once followed by a view or None."""
        kind, name, key, _, count, *view = reference
        known = isinstance(name, Storage) and isinstance(key, str)
        check(known and kind == "storage" and view in ([], [None]), "a strange storage")
        dtype = name.dtype
        if key not in self.by_key:
            fits = _is_count(count) and count * dtype.itemsize <= self._room
            check(fits, f"storage {key!r} of {count!r} numbers exceeds the file")
            self._room -= count * dtype.itemsize
            self.by_key[key] = np.zeros(count, dtype)
        found = self.by_key[key]
        same = (found.dtype, len(found)) == (dtype, count)
        check(same, f"storage {key!r} is described in two ways")
        return found


def _tensor(storage, offset, size, strides, requires_grad=None, hooks=None, extra=None):
    """A view into a storage."""
    del requires_grad, hooks, extra
    check(_is_inside(storage, offset, size, strides), "a tensor outside its storage")
    steps = [step * storage.itemsize for step in strides]
    start = 0 if 0 in size else offset * storage.itemsize
    return np.ndarray(size, storage.dtype, storage, start, steps)


def _tensor_of_a_type(storage, offset, size, strides, grad, hooks, kind, extra=None):
    """A view into a storage of bytes."""
    name = kind.name if isinstance(kind, Inert) else "an unknown type"
    check(
        name in _LATER_DTYPES,
        f"its tensors are of {name}; convert them first, as by model.float()",
    )
    check(isinstance(storage, np.ndarray), "a tensor without a storage")
    typed = storage.view(_LATER_DTYPES[name])
    return _tensor(typed, offset, size, strides, grad, hooks, extra)


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


def _is_count(value):
    return type(value) is int and value >= 0


def _parameter(tensor, *rest):
    del rest
    check(isinstance(tensor, np.ndarray), "a parameter that is no tensor")
    return tensor


def _tensor_of_a_class(function, kind, arguments, state):
    """What PyTorch writes for a tensor with attributes, which are left out."""
    del kind, state
    known = isinstance(function, Builder) and isinstance(arguments, tuple)
    check(known, "it calls what is no function")
    return function.function(*arguments)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "argparse.Namespace": lambda: {},
    "collections.OrderedDict": plain_dict,  # Python 2 wrote pairs
    "collections.defaultdict": lambda *factory: {},
    "collections.deque": lambda items=(), most=None: list(items),
    "torch._tensor._rebuild_from_type_v2": _tensor_of_a_class,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_a_type,
}
BUILDERS: dict[str, Builder] = {name: Storage(kind) for name, kind in _DTYPES.items()}
for _room in ("torch", "torch.storage"):
    BUILDERS[f"{_room}.UntypedStorage"] = Storage(np.dtype("<u1"))
BUILDERS |= {name: Builder(function) for name, function in _FUNCTIONS.items()}
