"""Networks: one file or folder per system, each with `Config`, `VARIANTS` and `build`."""
