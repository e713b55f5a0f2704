"""The faces of the rooms of videos: every name that they list is there."""

import importlib
import subprocess
import sys

import pytest

ROOMS = [
    "gpsattn_jax.data.videos",
    "gpsattn_jax.data.videos.media",
    "gpsattn_jax.systems.video_summary",
]


@pytest.mark.parametrize("room", ROOMS)
def test_every_name_of_a_face_is_there(room):
    face = importlib.import_module(room)
    assert face.__all__ == sorted(set(face.__all__)) and face.__doc__
    for name in face.__all__:
        found = getattr(face, name)
        assert not isinstance(found, type(sys)), name  # no file of that name
        assert name in dir(face)
    with pytest.raises(AttributeError, match=f"module '{room}' has no attribute 'x'"):
        face.x  # noqa: B018


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_imports_nothing_by_itself(room):
    program = (
        f"import sys, {room}\n"
        "print(*sorted({'PIL', 'av', 'h5py', 'yaml', 'matplotlib'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"yaml"}  # Flax brings that along
