"""A folder of videos -> features and people's opinions, to train on."""

import dataclasses
import functools
import os
import sys
from typing import TYPE_CHECKING

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.data.videos.videos import Video
from gpsattn_jax.files import as_text
from gpsattn_jax.reader_errors import shorten
from gpsattn_jax.systems.video_summary import frame_features
from gpsattn_jax.systems.video_summary import shots as video_shots
from gpsattn_jax.systems.video_summary.run import check_output
from gpsattn_jax.systems.video_summary.video_folder import find_names, find_videos

if TYPE_CHECKING:  # needs Pillow
    from gpsattn_jax.data.videos.annotations import Opinions
    from gpsattn_jax.data.videos.sampled_features import SampledFeatures


@dataclasses.dataclass(frozen=True)
class Extraction:
    """What became of a folder's videos.

    Attributes:
        written: names of the videos that are in the file.
        annotated: of them, those that people have an opinion of.
        broken: what was wrong with each of the others.
        damaged: what was wrong with those of which a part could be read.
    """

    written: tuple[str, ...]
    annotated: tuple[str, ...]
    broken: tuple[str, ...]
    damaged: tuple[str, ...]


def extract_folder(
    folder: str | os.PathLike,
    output: str | os.PathLike,
    extractor: str = frame_features.DEFAULT,
    *,
    annotations: str | os.PathLike | None = None,
    cache_dir: str | os.PathLike | None = None,
) -> Extraction:
    """Writes features, shots and opinions of a folder's videos as one HDF5 file.

    A video's name is its path in the folder without the suffix, `_` for each `/`. A
    file that is not readable is passed over and named. Features are kept, so that a
    call that was interrupted goes on where it stood, and annotations can be added in
    seconds.

    Args:
        folder: of the videos; searched to the bottom.
        output: an .h5 file of the community's layout; appears whole or not at all.
        extractor: a key of `frame_features.EXTRACTORS`.
        annotations: a file as in `data.video_annotations`.
        cache_dir: where features are kept; see `frame_features.extract_features`.

    Raises:
        FileNotFoundError, OSError: if a file is not there, or the output not writable.
        ValueError: if no video is readable, two would have one name, or annotations are
            wrong or name a video that is not there.
        ImportError: if a package is not installed that is needed.
    """
    from gpsattn_jax.data.videos.feature_files import write_videos

    known = frame_features.find_extractor(extractor)
    check_output(output, folder, ".h5")
    paths = find_videos(folder)
    opinions = _opinions(annotations, folder, paths) if annotations is not None else {}
    videos, broken, damaged = [], [], []
    for number, (name, path) in enumerate(paths.items(), 1):
        inside = path.relative_to(folder)
        print(f"{number} of {len(paths)}: {inside}", file=sys.stderr)
        try:
            sampled = frame_features.extract_features(
                path, extractor, cache_dir=cache_dir
            )
        except (ValueError, OSError) as error:
            broken.append(str(error))
            continue
        damaged += [sampled.problem] if sampled.problem else []
        where = f"{annotations}: {name}"
        title = as_text(str(inside))
        videos.append(as_video(name, title, sampled, opinions.get(name), where))
    if not videos:
        reasons = "\n".join(broken)
        raise ValueError(f"{folder} must hold a readable video:\n{reasons}")
    attributes = {
        "extractor": extractor,
        "normalisation": known.normalisation,
        "rate": frame_features.RATE,
    }
    write_videos(output, videos, attributes)
    return Extraction(
        tuple(video.name for video in videos),
        tuple(video.name for video in videos if video.target is not None),
        tuple(broken),
        tuple(damaged),
    )


def as_video(
    name: str,
    title: str,
    sampled: "SampledFeatures",
    users: "Opinions | None" = None,
    where: str = "",
) -> Video:
    """Features as a video to train on: rising picks, shots by KTS, opinions.

    Args:
        name: its key.
        title: for people.
        sampled: its features.
        users: what people think of it.
        where: file and video, for errors.

    Raises:
        ValueError: if an opinion is beyond the video's end.
    """
    steps = sampled.distinct()  # of a slow video, frames come several times
    picks, features = sampled.indices[steps], sampled.features[steps]
    cuts = video_shots.find_cuts(
        features,
        min(len(steps) / sampled.duration, sampled.rate),
        penalty=frame_features.find_extractor(sampled.extractor).penalty,
    )
    # A shot begins at the change before its first step, at most a step earlier.
    starts = np.concatenate([[0], sampled.change_indices[steps[cuts]]])
    ends = np.append(starts[1:], sampled.num_frames) - 1
    video = Video(
        name=name,
        features=features,
        picks=picks,
        num_frames=sampled.num_frames,
        shots=np.stack([starts, ends], axis=1),
        title=title,
        fps=sampled.frame_rate,
    )
    return video if users is None else _annotated(video, sampled, users, where)


def _annotated(video, sampled, users, where):
    from gpsattn_jax.data.videos import annotations as video_annotations

    video_annotations.check_within(where, users, sampled.start, sampled.end)
    steps = sampled.distinct()
    seconds = np.append(sampled.times[steps], sampled.end)
    frames = np.append(video.picks, video.num_frames)

    def frame_at(second):
        return round(float(np.interp(second, seconds, frames)))

    rows = video_annotations.user_rows(users, frame_at, video.num_frames)
    means = rows[:, video.picks].mean(0, dtype=np.float64)
    if not video_annotations.is_scored(users):
        return dataclasses.replace(
            video, summaries=rows, target=means.astype(np.float32)
        )
    least, most = video_annotations.LEAST, video_annotations.MOST
    summarize = functools.partial(
        evaluation.summarize,
        shots=video.shots,
        picks=video.picks,
        num_frames=video.num_frames,
    )
    return dataclasses.replace(
        video,
        annotations=rows,
        # Each user's own summary of 15 %, as TVSum makes it of scores.
        summaries=np.stack([summarize(row[video.picks]) for row in rows]),
        target=((means - least) / (most - least)).astype(np.float32),
    )


def _opinions(annotations, folder, paths):
    """{name: opinions}; a video is called by its path, with a suffix or without."""
    from gpsattn_jax.data.videos import annotations as video_annotations
    from gpsattn_jax.data.videos.media.sampling import probe

    names = find_names(folder, paths)
    found: dict[str, Opinions] = {}
    for video, users in video_annotations.read_annotations(annotations).items():
        if video not in names:
            there = [str(path.relative_to(folder)) for path in paths.values()]
            raise ValueError(
                f"{annotations}: {video} must be one of the videos: {shorten(there)}."
            )
        name = names[video]
        found[name] = found.get(name, {}) | users
        try:
            info = probe(paths[name])
        except (ValueError, OSError):
            continue  # named when its features are made
        where = f"{annotations}: {video}"
        video_annotations.check_within(where, users, info.start, info.end)
    return found
