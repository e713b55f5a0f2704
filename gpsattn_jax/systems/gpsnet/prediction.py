"""GPS-Net on a user's own clips."""

import os
from collections.abc import Sequence

from gpsattn_jax.data.skeletons.clip_folder import read_clips
from gpsattn_jax.data.skeletons.gaps import interpolated
from gpsattn_jax.systems.gpsnet.run import probabilities
from gpsattn_jax.systems.run_files import TrainedRun
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
        paths: files or folders of clips, see `data.skeletons.clip_folder.read_clips`.
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
    data = run.config.data
    for path in path_list(paths):
        clips = read_clips(path, run.facts["layout"], data.reading)
        if data.missing == "interpolate":
            clips = interpolated(clips)
        for clip, shares in zip(clips.names, probabilities(run, clips), strict=True):
            found[clip] = class_shares(run.class_names, shares)
    give_classes(found, output, count)
    return found
