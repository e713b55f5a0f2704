"""Compares an exported network, in a process without our code, with the live one."""

import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from gpsattn_jax.systems.export.artefacts import describe, load
from gpsattn_jax.systems.export.models import Model, export

# How a file is read, by its suffix: `call` gives its outputs in a list.
_READERS = {
    ".stablehlo": """
import jax
from jax import export
with open(sys.argv[1], "rb") as file:
    exported = export.deserialize(bytearray(file.read()))
def call(*inputs):
    return jax.tree.leaves(exported.call(*inputs))
strangers = {"gpsattn_jax"}
""",
    ".onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(
    sys.argv[1], providers=["CPUExecutionProvider"]
)
names = [wanted.name for wanted in session.get_inputs()]
def call(*inputs):
    return session.run(None, dict(zip(names, inputs)))
strangers = {"gpsattn_jax", "jax"}
""",
}
# Arrays are "SIZE/in/PLACE" and "SIZE/out/PLACE". The last line is the result.
_COMPARE = """
differences = []
with numpy.load("arrays.npz") as arrays:
    for size in dict.fromkeys(name.split("/")[0] for name in arrays):
        inputs = [arrays[name] for name in arrays if name.startswith(size + "/in/")]
        for place, output in enumerate(call(*inputs)):
            wanted = arrays[f"{size}/out/{place}"]
            if output.shape != wanted.shape:
                sys.exit(f"its outputs must be {wanted.shape}; got {output.shape}")
            apart = numpy.abs(numpy.asarray(output, numpy.float32) - wanted).max()
            differences.append(apart / max(1, numpy.abs(wanted).max()))
for name in strangers & {name.split(".")[0] for name in sys.modules}:
    sys.exit(f"{name} was imported")
print(numpy.max(differences))
"""
# Float32 in another order of sums, and in ONNX erf in place of a polynomial.
TOLERANCES = {"stablehlo": 1e-5, "onnx": 2e-5}


def check(
    model: Model,
    path: str | os.PathLike,
    *,
    sizes: Sequence[int] = (1, 3),
    tolerance: float = 1e-5,
) -> float:
    """Compares an artefact, run in a fresh process without our code, with the network.

    Args:
        model: what was exported; its network runs here, on whole batches.
        path: the artefact, a `.stablehlo` or an `.onnx`.
        sizes: of the batches, which are random.
        tolerance: the largest difference allowed, absolute where the outputs are below
            one, else as a share of the largest one. The default is for CPUs; an
            accelerator's short float32 products may need 1e-2.

    Returns:
        The largest difference.

    Raises:
        ValueError: if it is above the tolerance or not finite, or the process fails.
    """
    # A GPU's memory is shared with the other process; a TPU belongs to one alone.
    environment = os.environ | {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_TRACEBACK_FILTERING": "off",  # the error itself is the last line
    }
    if jax.default_backend() == "tpu":
        environment["JAX_PLATFORMS"] = "cpu"
    with tempfile.TemporaryDirectory() as folder:
        np.savez(
            pathlib.Path(folder, "arrays.npz"), **_inputs_and_outputs(model, sizes)
        )
        reader = _READERS[pathlib.Path(path).suffix]
        program = f"import sys\nimport numpy\n{reader}{_COMPARE}"
        result = subprocess.run(
            [sys.executable, "-c", program, os.path.abspath(path)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
        )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise ValueError(f"{path}: does not run in a fresh process: {reason}")
    difference = float(result.stdout.split()[-1])
    if not difference <= tolerance:
        raise ValueError(
            f"{path}: its outputs must be within {tolerance:g} of the network's; got "
            f"{difference:g}."
        )
    return difference


def finish(
    model: Model,
    path: str | os.PathLike,
    *,
    to: str = "stablehlo",
    write: bool = True,
    platforms: Sequence[str] | None = None,
    tolerance: float | None = None,
) -> None:
    """Writes an artefact, checks it, prints what it is: how every `export` ends.

    Args:
        model: what to export.
        path: the artefact; its suffix is that of `to`.
        to: "stablehlo" or "onnx".
        write: False only checks what is there.
        platforms: see `models.export`; an ONNX file has none.
        tolerance: see `check`; that of `TOLERANCES` by default.

    Raises:
        FileNotFoundError, ImportError, ValueError: as `models.export`,
            `onnx_files.export_onnx` and `check`.
    """
    if to not in TOLERANCES:
        raise ValueError(f"to must be one of {', '.join(TOLERANCES)}; got {to!r}.")
    if pathlib.Path(path).suffix != f".{to}":
        raise ValueError(f"{path}: --to={to} writes a .{to}.")
    if to == "onnx":
        metadata = _onnx(model, path, write, platforms)
    else:
        if write:
            export(model, path, platforms=platforms)
        metadata = load(path).metadata
    tolerance = TOLERANCES[to] if tolerance is None else tolerance
    difference = check(model, path, tolerance=tolerance)
    runs_on = ", ".join(metadata.get("platforms", ["onnxruntime"]))
    print(f"{path}: {os.path.getsize(path) / 1e6:.2f} MB for {runs_on}.")
    for kind, meaning in (("inputs", "takes"), ("outputs", "gives")):
        for name, wanted in metadata[kind].items():
            print(f"  {name} {describe(wanted['shape'], wanted['dtype'])}")
        if meaning in metadata:
            print(f"    {metadata[meaning]}")
    print(f"In a fresh process without our code: largest difference {difference:.1e}.")


def _onnx(model, path, write, platforms):
    """Writes or reads an ONNX file; gives its description."""
    # Its readers are an extra's, which StableHLO does without.
    from gpsattn_jax.systems.export import onnx_files

    if platforms is not None:
        raise ValueError("platforms are of StableHLO; onnxruntime chooses its own.")
    onnx_files.need_onnx()
    return (
        onnx_files.export_onnx(model, path)
        if write
        else onnx_files.read_description(path)
    )


def _inputs_and_outputs(model, sizes):
    """Random inputs and the network's own outputs, as `_COMPARE` wants them.

    Inputs are floats in 0..1; integers are up to `model.highest`, or 0 and 1.
    """
    forward = jax.jit(lambda inputs: model.forward(**inputs))
    random = np.random.default_rng(0)
    arrays = {}
    for size in sizes:
        inputs = {}
        for place, (name, wanted) in enumerate(model.inputs.items()):
            drawn = random.random((size, *wanted.shape[1:]))
            if not jnp.issubdtype(wanted.dtype, jnp.floating):
                drawn = (drawn * model.highest.get(name, 1)).round()
            inputs[name] = arrays[f"{size}/in/{place}"] = drawn.astype(wanted.dtype)
        for place, output in enumerate(jax.tree.leaves(forward(inputs))):
            arrays[f"{size}/out/{place}"] = np.asarray(output, np.float32)
    return arrays
