"""Networks: a file or folder for each, with `Config`, `VARIANTS` and `build`."""
