"""Pickles of NumPy arrays and plain containers: skeletons, CIFAR."""

import io
import os
import pathlib
from typing import Any

from gpsattn_jax.data.files.pickles.arrays import array_builders
from gpsattn_jax.data.files.pickles.machine import Machine
from gpsattn_jax.data.files.pickles.parts import reason, refuse


def read_pickle(path: str | os.PathLike) -> Any:
    """What a pickle holds: dicts, lists, tuples, sets, texts, numbers, NumPy arrays.

    Args:
        path: of a file of any protocol, written with NumPy 1 or 2; it is read whole.

    Raises:
        FileNotFoundError: if the file is not there.
        ValueError: names the file and what is wrong with it, such as the name that it
            holds and that might run code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such pickle.")
    return parse_pickle(path.read_bytes(), str(path))


def parse_pickle(content: bytes, where: str, *, most_steps: int | None = None) -> Any:
    """The same for a pickle's bytes.

    Args:
        content: the whole pickle.
        where: it comes from, for errors.
        most_steps: see `Machine`.
    """
    builders = array_builders(len(content))

    def find(name):
        return builders[name] if name in builders else refuse(name)

    try:
        machine = Machine(len(content), find, most_steps=most_steps)
        return machine.run(io.BytesIO(content))
    except Exception as error:  # broken pickles raise all sorts of things
        raise ValueError(
            f"{where}: must be a pickle of arrays and containers alone; "
            f"{reason(error)}."
        ) from None
