"""Networks: one file per system, each with `Config`, `VARIANTS` and `build`."""
