"""The arrays of one video in an HDF5 file: bounded, and of this file alone.

What the file says is looked at before anything is read: links and storage that reach
into other files are refused, and so are arrays that are larger than what is stored.
"""

import pathlib
from typing import Any

import h5py
import numpy as np

from gpsattn_jax.reader_errors import readable, shorten

MOST_BYTES = 2**30  # of an array
_RATIO = 1100  # bytes of an array for each that is stored; gzip's best is 1032
_SMALL = 2**20  # bytes that need not be stored
_MOST_TEXT = 2**16  # bytes


class FieldError(ValueError):
    """What is wrong with a field of a video; its text begins with file and video."""

    def __init__(self, text: str, field: str):
        super().__init__(text)
        self.field = field


class FeatureGroup:
    """A video's arrays, with errors that name file, video and field.

    Args:
        path: of the file.
        file: open.
        key: of the video in it.

    Raises:
        FieldError: if there is no group of arrays.
    """

    def __init__(self, path: pathlib.Path, file: Any, key: str):
        self.where, self.key, self._path = f"{path}: {shorten(key)}", key, path
        with readable(path, "HDF5 group", where=self.where):
            self._check_link(file, key, "")
            group = file[key]
        if not isinstance(group, h5py.Group):
            raise FieldError(f"{self.where} must be a group of arrays.", "group")
        self._group = group

    def names(self) -> list[str]:
        """What there is, sorted."""
        with readable(self._path, "HDF5 group", where=self.where):
            return sorted(self._group)

    def array(self, name: str, axes: str, *, needed: bool = False) -> Any:
        """The array of finite numbers, or None.

        Args:
            name: of the array.
            axes: as "T C".
            needed: raises if it is not there.

        Raises:
            FieldError: says what it must be, and what there is.
        """
        dataset = self._dataset(name)
        if dataset is None:
            if needed:
                there = shorten(self.names()) or "nothing"
                raise FieldError(
                    f"{self.where} must have {name}; it has {there}.", name
                )
            return None
        with readable(self._path, "HDF5 array", where=f"{self.where}/{name}"):
            kind, shape = dataset.dtype, dataset.shape
            if kind.kind not in "fiub" or len(shape) != len(axes.split()):
                words = "text" if kind.kind in "SUO" else kind
                raise self.wrong(name, f"numbers [{axes}]", f"{words} {shape}")
            self._check_size(name, dataset, MOST_BYTES)
            array = np.asarray(dataset[()])
        if kind.kind == "f" and not np.isfinite(array).all():
            raise self.wrong(name, "finite", "NaN or infinity")
        return array

    def text(self, name: str) -> str:
        """A text, cut to a line; "" if there is none."""
        dataset = self._dataset(name)
        if dataset is None:
            return ""
        with readable(self._path, "HDF5 text", where=f"{self.where}/{name}"):
            if dataset.size != 1:
                raise self.wrong(name, "one text", dataset.shape)
            self._check_size(name, dataset, _MOST_TEXT)
            value = np.asarray(dataset[()]).ravel()[0]
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        return shorten(str(text), 200)

    def wrong(self, name: str, expected: str, got: Any) -> FieldError:
        """The error that a field must be something else.

        Args:
            name: of the field.
            expected: what it must be.
            got: what it is.
        """
        return FieldError(f"{self.where}/{name} must be {expected}; got {got}.", name)

    def _dataset(self, name):
        with readable(self._path, "HDF5 array", where=f"{self.where}/{name}"):
            if self._group.get(name, getlink=True) is None:
                return None
            self._check_link(self._group, name, f"/{name}")
            found = self._group[name]
            if not isinstance(found, h5py.Dataset):
                kind = type(found).__name__.lower()
                raise self.wrong(name, "an array", f"a {kind} of HDF5")
            if found.external or found.is_virtual:
                raise self.wrong(name, "stored in this file", "data of another file")
            return found

    def _check_link(self, group, name, field):
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise FieldError(
                f"{self.where}{field} must be in this file; got a link to another.",
                field.strip("/") or "group",
            )

    def _check_size(self, name, dataset, most):
        size, stored = (
            dataset.size * dataset.dtype.itemsize,
            dataset.id.get_storage_size(),
        )
        if size > most or size > max(_SMALL, _RATIO * stored):
            raise self.wrong(
                name,
                f"of {most:,} bytes at most, and stored",
                f"{dataset.shape} of {size:,} bytes, {stored:,} of them stored",
            )


def read_attributes(path: pathlib.Path, file: Any) -> dict[str, Any]:
    """The small attributes of a file; large ones are no business of ours."""
    with readable(path, "HDF5 attribute", where=f"{path}: attributes"):
        found = {}
        for name in file.attrs:
            attribute = file.attrs.get_id(name)
            if np.prod(attribute.shape, dtype=float) * attribute.dtype.itemsize < 2**12:
                found[name] = file.attrs[name]
        return found
