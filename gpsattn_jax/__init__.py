"""Global and positional attention in JAX: kernels, modules, four networks."""

__version__ = "0.1.0"
