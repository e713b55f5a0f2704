"""The videos of a folder, at any depth, and how they may be called."""

import os
import pathlib
from collections.abc import Mapping

from gpsattn_jax.data.videos.videos import by_number
from gpsattn_jax.files import as_text

# fmt: off
SUFFIXES = (
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg",
    ".mts", ".ogv", ".ts", ".webm", ".wmv",
)
# fmt: on


def find_videos(folder: str | os.PathLike) -> dict[str, pathlib.Path]:
    """{name: path} of a folder's videos at any depth, in order of their numbers.

    Hidden files and folders, and what is no regular file, are no videos; links to
    folders are not followed.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there is no video in it, or two would have one name.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder of videos.")
    found: dict[str, pathlib.Path] = {}
    for path in sorted(_files(folder), key=lambda path: by_number(path.as_posix())):
        name = as_text("_".join(path.with_suffix("").parts))
        if name in found:
            raise ValueError(
                f"{folder}: videos must have different names; "
                f"{found[name].relative_to(folder)} and {path} would both be {name}."
            )
        found[name] = folder / path
    if not found:
        raise ValueError(f"{folder} must hold videos ({' '.join(SUFFIXES)}); got none.")
    return found


def _files(folder):
    """Paths in the folder of all that looks like a video."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = pathlib.Path(place, name)
            wanted = path.suffix.lower() in SUFFIXES and not name.startswith(".")
            if wanted and path.is_file():
                yield path.relative_to(folder)


def find_names(
    folder: str | os.PathLike, paths: Mapping[str, pathlib.Path]
) -> dict[str, str]:
    """{how a video may be called: its name}; a file's name alone if no other has it."""
    names = {}
    for name, path in paths.items():
        for called in (path.name, path.stem):
            names[called] = "" if called in names else name
    for name, path in paths.items():
        inside = path.relative_to(folder)
        names |= dict.fromkeys((str(inside), str(inside.with_suffix("")), name), name)
    return {called: name for called, name in names.items() if name}
