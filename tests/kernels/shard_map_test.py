"""The kernels with gradients of their own inside `jax.shard_map`, checks on."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_gradients_on_eight_pretended_devices():
    """JAX counts its devices once: a process of its own."""
    environment = {
        **os.environ,
        "JAX_NUM_CPU_DEVICES": "8",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        # Compiling takes most of the time here.
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.kernels.shard_map_run"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    lines = result.stdout.splitlines()
    assert len(lines) == 5 and all(line.endswith("on 8 devices") for line in lines)
