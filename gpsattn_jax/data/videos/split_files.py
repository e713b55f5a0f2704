"""Splits of videos into those to train on and those to test: JSON or YAML.

A list with a mapping for each split, {"train_keys": [...], "test_keys": [...]} and, if
wanted, "val_keys". Keys are names of videos; a path before the name, as DSNet's files
have it (`../datasets/summe.h5/video_1`), is cut off where no video is called so.
"""

import json
import os
import pathlib
import sys
from collections.abc import Collection, Mapping

from gpsattn_jax.data.videos.videos import Video, by_number
from gpsattn_jax.reader_errors import read_text, readable, shorten

SIDES = ("train_keys", "val_keys", "test_keys")
_MOST_JSON, _MOST_YAML = 2**26, 2**20  # bytes
_YAML = (".yaml", ".yml")

Split = dict[str, list[str]]


def read_splits(path: str | os.PathLike) -> list[Split]:
    """The splits of a .json, .yaml or .yml file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: names what is wrong in it.
        ImportError: if PyYAML is needed and not installed.
    """
    path = pathlib.Path(path)
    read = _read_yaml if path.suffix.lower() in _YAML else _read_json
    splits = read(path)
    if not isinstance(splits, list) or not splits:
        raise ValueError(f"{path}: must be a list of splits; got {shorten(splits)}.")
    for number, split in enumerate(splits):
        if not isinstance(split, Mapping):
            raise ValueError(
                f"{path}: split {number} must have train_keys, a list of videos; got "
                f"{shorten(split)}."
            )
        _check_sides(f"{path}: split {number}", split)
    return [{side: list(split[side]) for side in SIDES if side in split}
            for split in splits]  # fmt: skip


def _check_sides(where, split):
    for side in SIDES:
        if side == "val_keys" and side not in split:
            continue
        keys = split.get(side)
        fits = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        if not fits or not keys:
            raise ValueError(
                f"{where} must have {side}, a list of videos; got {shorten(keys)}."
            )
    unknown = [name for name in split if str(name).endswith("_keys")]
    unknown = [str(name) for name in unknown if name not in SIDES]
    if unknown:
        raise ValueError(
            f"{where} must have no other keys than {', '.join(SIDES)}; got "
            f"{shorten(unknown)}."
        )


def find_keys(split: Mapping[str, list[str]], names: Collection[str]) -> Split:
    """A split by the names of videos that there are.

    Args:
        split: of `read_splits`.
        names: of all videos.

    Returns:
        The split; each key that is no name itself is the name at its end, or the one
        with `_` for each `/`, if there is such a video, or else stays as it is.
    """

    def find(key):
        choices = (key, key.replace("/", "_"), key.rstrip("/").rpartition("/")[2])
        return next((name for name in choices if name in names), key)

    return {side: [find(key) for key in keys] for side, keys in split.items()}


def keep_known(split: Split, names: Collection[str], where: str) -> Split:
    """A split without the videos that are not there, with a line on standard error.

    Args:
        split: of `find_keys`.
        names: of all videos that can be used.
        where: file and number of the split.

    Raises:
        ValueError: if one of its sides would be empty.
    """
    lost = {key for keys in split.values() for key in keys} - {*names}
    if not lost:
        return split
    left_out = shorten(sorted(lost, key=by_number))
    print(f"{where}: left out, bad or not there: {left_out}.", file=sys.stderr)
    kept = {side: [k for k in keys if k in names] for side, keys in split.items()}
    for side, keys in kept.items():
        if not keys:
            raise ValueError(f"{where}: of {side}, no video is left.")
    return kept


def check_split(
    split: Mapping[str, list[str]], videos: Mapping[str, Video], where: str
) -> None:
    """Raises ValueError naming videos of a split that are absent or on two sides.

    Args:
        split: of `find_keys`.
        videos: by name.
        where: file and number of the split.
    """
    named = [key for keys in split.values() for key in keys]
    absent = sorted({*named} - videos.keys(), key=by_number)
    if absent:
        raise ValueError(
            f"{where} must name videos that are there; it names {shorten(absent)}."
        )
    train = {*split["train_keys"], *split.get("val_keys", ())}
    both = sorted(train & {*split["test_keys"]}, key=by_number)
    if both:
        raise ValueError(
            f"{where} must not train on what it tests; both have {shorten(both)}."
        )
    held = sorted({*split["train_keys"]} & {*split.get("val_keys", ())}, key=by_number)
    if held:
        raise ValueError(
            f"{where} must not train on what it validates; both have {shorten(held)}."
        )
    twice = [side for side, keys in split.items() if len({*keys}) < len(keys)]
    if twice:
        raise ValueError(f"{where} must name each video once; {twice[0]} does not.")


def _read_json(path):
    text = read_text(path, "splits", _MOST_JSON)
    with readable(path, "JSON file"):
        return json.loads(text)


def _read_yaml(path):
    text = read_text(path, "splits", _MOST_YAML)
    try:
        import yaml
    except ImportError as error:
        raise ImportError(
            f"{path}: to read YAML, install PyYAML: pip install gpsattn-jax[data]."
        ) from error

    class Loader(yaml.SafeLoader):
        """Without merged mappings, which may grow beyond all bounds."""

        def flatten_mapping(self, node):
            pass

    with readable(path, "YAML file"):
        return yaml.load(text, Loader)
