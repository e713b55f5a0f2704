"""What an artefact from elsewhere holds, looked at before it is called.

JAX's reader of programs is not safe for memory: of forged ones, one in some hundreds
ends its process. They are first read in a process of their own:

    python -m gpsattn_jax.systems.export.inspection a.stablehlo b.stablehlo
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from jax import export as jax_export
from jax.extend.mlir import deserialize_portable_artifact, ir
from jax.interpreters import mlir

from gpsattn_jax.reader_errors import read_text, readable, shorten

# Custom calls in what we export: a batch of at least one is asserted.
CALLS = {"shape_assertion"}
# Other instructions that reach beyond the program.
_OUTSIDE = {"infeed", "outfeed", "recv", "send"}
_MOST_BYTES = 2**26  # of a description
_HERE = str(pathlib.Path(__file__).parents[3])
_FIELDS = {
    "bytes": int, "sha256": str, "jax": str, "platforms": list, "inputs": dict,
    "outputs": dict,
}  # fmt: skip


def read_description(path: pathlib.Path) -> dict[str, Any]:
    """The description beside an artefact.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: names file and field that are no artefact's description.
    """
    text = read_text(path, "an artefact's description", _MOST_BYTES)
    with readable(path, "artefact's description"):
        metadata = json.loads(text)
    if not isinstance(metadata, dict):
        raise ValueError(
            f"{path}: not an artefact's description: must be a dict; got "
            f"{shorten(metadata)}."
        )
    for name, kind in _FIELDS.items():
        value = metadata.get(name)
        if not isinstance(value, kind):
            raise ValueError(
                f"{path}: not an artefact's description: {name} must be a "
                f"{kind.__name__}; got {shorten(value)}."
            )
    arrays = {**metadata["inputs"], **metadata["outputs"]}
    for name, wanted in arrays.items():
        if not _is_array(wanted):
            raise ValueError(
                f"{path}: not an artefact's description: {shorten(name)} must be "
                f"{{shape: [b, …], dtype: …}}; got {shorten(wanted)}."
            )
    return metadata


def _is_array(wanted):
    return (
        isinstance(wanted, dict)
        and isinstance(wanted.get("shape"), list)
        and bool(wanted["shape"])
        and isinstance(wanted.get("dtype"), str)
    )


def inspect(paths: Sequence[pathlib.Path]) -> list[str]:
    """Reads artefacts in another process, which may end at any of them.

    Args:
        paths: of the artefacts.

    Returns:
        What is wrong with each; "" for nothing.
    """
    problems: list[str] = []
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([_HERE, os.environ.get("PYTHONPATH", "")]),
    }
    while len(problems) < len(paths):
        left = [os.path.abspath(path) for path in paths[len(problems) :]]
        result = subprocess.run(
            [sys.executable, "-m", __spec__.name, *left],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        problems += [json.loads(line) for line in result.stdout.splitlines()]
        if result.returncode > 0:
            last = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"{paths[0]}: cannot be inspected: {last}")
        if result.returncode < 0:
            problems.append("it is damaged so that JAX's reader crashes.")
    return problems


def read_program(path: str | os.PathLike, content: bytes) -> jax_export.Exported:
    """JAX's view of an artefact whose program calls nothing.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        ValueError: if JAX cannot read it, or the program calls what ours do not.
    """
    with readable(path, "artefact"):
        exported = jax_export.deserialize(bytearray(content))
        calls = foreign_calls(exported)
    if calls:
        raise ValueError(
            f"{path}: must compute alone; its program has {shorten(calls)}, which no "
            "network of ours has and which may run code."
        )
    return exported


def foreign_calls(exported: jax_export.Exported) -> list[str]:
    """Calls in a program, and in its derivatives, that no network of ours has.

    Args:
        exported: as JAX reads it. Its program is parsed, not run.

    Returns:
        Such as "the custom call xla_ffi_python_cpu_callback", sorted.
    """
    found: set[str] = set()

    def look(operation):
        dialect, _, name = operation.name.partition(".")
        if name == "custom_call":
            target = ir.StringAttr(operation.attributes["call_target_name"]).value
            if target not in CALLS:
                found.add(f"the custom call {target}")
        elif dialect == "stablehlo" and name in _OUTSIDE:
            found.add(f"the instruction {name}")
        return ir.WalkResult.ADVANCE

    while True:
        # Without a handler, MLIR prints what is wrong.
        with mlir.make_ir_context() as context, _quiet(context):
            module = deserialize_portable_artifact(exported.mlir_module_serialized)
            module.operation.walk(look)
        if not exported.has_vjp():
            return sorted(found)
        exported = exported.vjp()


@contextlib.contextmanager
def _quiet(context: Any) -> Iterator[None]:
    handler = context.attach_diagnostic_handler(lambda diagnostic: True)
    try:
        yield
    finally:
        handler.detach()


def _main(paths):
    for path in paths:
        problem = ""
        try:
            read_program(path, pathlib.Path(path).read_bytes())
        except ValueError as error:
            problem = str(error).removeprefix(f"{path}: ")
        print(json.dumps(problem), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1:])
