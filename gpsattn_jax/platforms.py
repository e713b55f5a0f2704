"""Which kind of processor a program is traced for, where a form is chosen by it."""

import contextlib
import contextvars
from collections.abc import Iterator

import jax

_TRACED_FOR: contextvars.ContextVar[str] = contextvars.ContextVar("traced_for")


def platform() -> str:
    """cpu, gpu, tpu or onnx: what `traced_for` says, else where JAX runs."""
    return known_platform() or jax.default_backend()


def known_platform() -> str | None:
    """What `traced_for` says; None where a program may be compiled for any."""
    return _TRACED_FOR.get(None)


@contextlib.contextmanager
def traced_for(name: str) -> Iterator[None]:
    """While it lasts, programs are traced for one processor, which may be absent.

    They hold the forms for this one alone, and so take less time to trace.

    Args:
        name: as JAX calls it, "tpu"; or "onnx", for what onnxruntime will run.
    """
    token = _TRACED_FOR.set(name)
    try:
        yield
    finally:
        _TRACED_FOR.reset(token)
