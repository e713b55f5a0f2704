"""Files of arrays, whatever they are of: read without running what is in them.

* `read_npy`, `read_npz`, `npz_names`: NumPy's own files.
"""

from gpsattn_jax.data.files.numpy_files import npz_names, read_npy, read_npz

__all__ = ["npz_names", "read_npy", "read_npz"]
