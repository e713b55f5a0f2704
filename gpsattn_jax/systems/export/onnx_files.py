"""ONNX files: a network with its weights for onnxruntime, which needs no JAX.

What goes in and what comes out stands in the file itself: `metadata_props`, each value
as JSON, are those of a StableHLO artefact's description.
"""

import contextlib
import importlib
import json
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import jaxpr_as_fun

from gpsattn_jax.files import replaced
from gpsattn_jax.reader_errors import shorten
from gpsattn_jax.systems.export.models import Model, describe_arrays, output_shapes
from gpsattn_jax.systems.export.onnx_programs import plain_program

CONVERTED_WITH = "JAX 0.10.1 and 0.12.0"  # all four systems
OPSET = 23


def need_onnx() -> None:
    """Raises ImportError, saying what to install, without the converter or a reader."""
    for name in ("jax2onnx", "onnx", "onnxruntime"):
        try:
            with _quiet():
                importlib.import_module(name)
        except ImportError as error:
            raise ImportError(
                f"ONNX files need {name} (pip install gpsattn-jax[onnx], then pip "
                f"install --no-deps jax2onnx): {error}"
            ) from error


def export_onnx(model: Model, path: str | os.PathLike) -> dict[str, Any]:
    """Writes a network as an ONNX file for any batch size.

    Args:
        model: what to export.
        path: an `.onnx`; it appears whole or not at all.

    Returns:
        The description that the file holds: the model's metadata; inputs and outputs
        with shapes and dtypes; JAX's version.

    Raises:
        ImportError: without jax2onnx, onnx or onnxruntime.
        ValueError: if the path does not fit, or the converter fails, which may be for
            this version of JAX.
    """
    path = pathlib.Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: ONNX files are written as .onnx.")
    need_onnx()
    import onnx

    outputs = describe_arrays(output_shapes(model))
    try:
        program, shapes = plain_program(model)
        converted = _convert(program, shapes, [*model.inputs], [*outputs])
    except Exception as error:  # of the converter, which asserts, too
        why = shorten(str(error), 300) or type(error).__name__
        raise ValueError(
            f"{path}: jax2onnx does not convert it with JAX {jax.__version__} (all "
            f"systems were converted with {CONVERTED_WITH}): {why}"
        ) from error
    description = {
        **model.metadata,
        "inputs": describe_arrays(model.inputs),
        "outputs": outputs,
        "jax": jax.__version__,
    }
    onnx.helper.set_model_props(
        converted, {name: json.dumps(value) for name, value in description.items()}
    )
    with replaced(path) as partial:
        onnx.save(converted, partial)
    return description


def read_description(path: str | os.PathLike) -> dict[str, Any]:
    """What an ONNX file of ours says about itself.

    Raises:
        FileNotFoundError: if it is not there.
    """
    import onnx

    found = onnx.load(path, load_external_data=False).metadata_props
    return {entry.key: json.loads(entry.value) for entry in found}


def _convert(program, shapes, inputs, outputs):
    import jax2onnx

    compute = jaxpr_as_fun(program)
    with _quiet():
        return jax2onnx.to_onnx(
            lambda *arrays: tuple(compute(*arrays)),
            shapes,
            model_name="gpsattn_jax",
            opset=OPSET,
            input_names=inputs,
            output_names=outputs,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the converter's warnings: of optional packages, with a stack for each."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
