"""The faces of the rooms: what `import gpsattn_jax` and `help` show."""

import importlib
import pathlib
import pydoc
import re
import subprocess
import sys

import pytest

import gpsattn_jax

ROOMS = ("kernels", "modules", "models", "evaluation", "training", "visualize")


def test_a_room_is_imported_when_it_is_asked_for():
    program = (
        "import sys, gpsattn_jax\n"
        "assert 'jax' not in sys.modules and 'kernels' in dir(gpsattn_jax)\n"
        "found = gpsattn_jax.kernels.attend.__name__\n"
        "print(found, {'flax', 'scipy'} & set(sys.modules))\n"
        "print(gpsattn_jax.models.gsanet.build.__name__)\n"
        "try: gpsattn_jax.kernel\n"
        "except AttributeError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "attend set()"
    assert result.stdout.splitlines()[1] == "build"
    assert "module 'gpsattn_jax' has no attribute 'kernel'" in result.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_a_face(room):
    face = importlib.import_module(f"gpsattn_jax.{room}")
    assert face.__all__ == sorted(face.__all__, key=_upper_case_first)
    if room == "visualize":
        pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    for name in face.__all__:
        assert getattr(face, name) is not None
    with pytest.raises(AttributeError):
        face.no_such_name  # noqa: B018


def _upper_case_first(name):
    return (not name.isupper(), not name[0].isupper(), name)


@pytest.mark.parametrize("room", ["kernels", "modules", "models", "visualize"])
def test_help_begins_with_a_page_of_contents(room):
    """One line for each name, grouped."""
    face = getattr(gpsattn_jax, room)
    text = pydoc.render_doc(face, renderer=pydoc.plaintext)
    contents = text[: text.index("PACKAGE CONTENTS")]
    for name in face.__all__:
        lines = re.findall(rf"^ +{name} +\S.*$", contents, re.MULTILINE)
        assert len(lines) == 1, name


def test_models_names_every_network():
    folder = pathlib.Path(gpsattn_jax.models.__file__).parent
    networks = {
        path.stem
        for path in folder.iterdir()
        if path.suffix == ".py" and "def build(" in path.read_text()
    }
    assert networks <= set(gpsattn_jax.models.__all__)
