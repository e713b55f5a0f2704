"""GPS-Net on a user's own clips."""

import os
from collections.abc import Sequence

from gpsattn_jax.data.skeletons.clip_folder import read_clip
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.systems.gpsnet.run import probabilities
from gpsattn_jax.systems.runs import TrainedRun
from gpsattn_jax.systems.tables import (
    Predictions,
    check_output,
    class_shares,
    give_classes,
    path_list,
)


def predict(
    run: TrainedRun,
    paths: str | os.PathLike | Sequence[str | os.PathLike],
    output: str | os.PathLike | None = None,
    *,
    count: int = 3,
) -> Predictions:
    """Prints the likeliest classes of clip files, or of folders of them.

    Args:
        run: a trained network.
        paths: `.npy`, `.npz` or `.csv` clips, see `data.skeletons.clip_folder`, or
            folders that hold some.
        output: optional table, see `tables.give_classes`.
        count: how many classes are printed.

    Returns:
        {file: {class: probability}}, the likeliest class first.

    Raises:
        FileNotFoundError: if a file is not there, or a folder holds no clip.
        ValueError: names a file that is no clip of the run's skeleton.
    """
    check_output(output)
    found: Predictions = {}
    for file in (file for path in path_list(paths) for file in _clip_files(path)):
        clip = read_clip(file, run.facts["layout"])
        if run.config.data.missing == "interpolate":
            clip = interpolated(clip)
        found[str(file)] = class_shares(run.class_names, probabilities(run, clip)[0])
    give_classes(found, output, count)
    return found


def _clip_files(path):
    if not path.is_dir():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.suffix in (".npy", ".npz", ".csv"))
    files = [file for file in files if file.name != "labels.csv"]
    if not files:
        raise FileNotFoundError(f"{path}: no clips (.npy, .npz, .csv) in this folder.")
    return files
