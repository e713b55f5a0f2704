"""Features of a video's frames, two a second, by an extractor's name; kept on disk."""

import dataclasses
import functools
import itertools
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import jax
import numpy as np

from gpsattn_jax.convert import efficientnet_lite
from gpsattn_jax.data.videos.feature_transforms import unit_length
from gpsattn_jax.progress import ProgressBar

if TYPE_CHECKING:  # needs Pillow and PyAV
    from gpsattn_jax.data.videos.sampled_features import SampledFeatures

RATE = 2.0  # frames a second that are looked at, whatever the video's own rate

Extract = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Extractor:
    """What turns frames into features.

    Attributes:
        size: numbers of a feature.
        make: -> a function of frames [n, H, W, 3] uint8 -> [n, size] float32.
        normalisation: of the features it gives: l2 (unit length) or none.
        penalty: of KTS, in the features' scale; see `video_shots.find_cuts`.
        shorter_side: pixels that frames are scaled down to; None leaves them whole.
        together: frames of a batch.
        version: of what it computes; another one makes what is kept anew.
    """

    size: int
    make: Callable[[], Extract]
    normalisation: str
    penalty: float
    shorter_side: int | None
    together: int
    version: int = 1


@functools.cache
def _efficientnet_lite0() -> Extract:
    network, params, state = efficientnet_lite.load_installed()
    forward = jax.jit(lambda images: network.apply(params, state, images)[0])
    together = EXTRACTORS["efficientnet_lite0"].together

    def extract(frames):
        from gpsattn_jax.data.videos.frame_preprocessing import preprocess_frames

        images = preprocess_frames(frames)
        # Filled up to one size, so that it compiles once.
        missing = [(0, together - len(frames)), (0, 0), (0, 0), (0, 0)]
        features = np.asarray(forward(np.pad(images, missing)))
        return unit_length(features[: len(frames)])

    return extract


def _color_histogram() -> Extract:
    from gpsattn_jax.data.videos.color_histogram import color_histogram

    return color_histogram


# The penalties are those with which the cuts that people see in Big Buck Bunny and in a
# montage of eight cuts are found, within half a second, and few others: a shot is 4 to
# 5 s long on average. The histograms' scatter is smaller.
EXTRACTORS = {
    "efficientnet_lite0": Extractor(
        size=1280,
        make=_efficientnet_lite0,
        normalisation="l2",
        penalty=1.0,
        shorter_side=224,
        together=16,
    ),
    "color_histogram": Extractor(
        size=96,
        make=_color_histogram,
        normalisation="none",
        penalty=0.5,
        shorter_side=None,
        together=1,
    ),
}
DEFAULT = "efficientnet_lite0"


def find_extractor(name: str) -> Extractor:
    """The extractor of that name.

    Raises:
        ValueError: if there is none; lists them.
    """
    if name not in EXTRACTORS:
        raise ValueError(
            f"extractor must be one of {', '.join(EXTRACTORS)}; got {name!r}."
        )
    return EXTRACTORS[name]


def extract_features(
    video: str | os.PathLike,
    extractor: str = DEFAULT,
    *,
    cache_dir: str | os.PathLike | None = None,
) -> "SampledFeatures":
    """Features of the frames at 0, 0.5, 1 … seconds, computed once.

    One pass; memory holds a batch of frames, and the features and thumbnails of all
    (for an hour of video about 80 MB, the size of the file that is kept, too).

    Args:
        video: the file.
        extractor: a key of `EXTRACTORS`.
        cache_dir: where features are kept, by the file's path, size and time of change;
            `$GPSATTN_CACHE_DIR` or `~/.cache/gpsattn_jax` by default.

    Raises:
        FileNotFoundError, OSError: if there is no such video, or it may not be read.
        ValueError: if it is not readable as a video; if there is no such extractor.
        ImportError: if a package is not installed that is needed.
    """
    from gpsattn_jax.data.videos import sampled_features
    from gpsattn_jax.data.videos.media.sampling import probe
    from gpsattn_jax.files import cache_folder

    chosen = find_extractor(extractor)
    probe(video)  # says what is wrong before anything is loaded
    folder = pathlib.Path(cache_dir or cache_folder())
    kept = sampled_features.cache_path(folder, video, extractor, chosen.version, RATE)
    found = sampled_features.read_cache(kept)
    if found is None:
        found = _extract(video, extractor, chosen)
        try:
            sampled_features.write_cache(kept, found)
        except OSError as error:
            print(f"Features are not kept: {error}", file=sys.stderr)
    return found


def _extract(video, name, extractor):
    from gpsattn_jax.data.videos.media.watched_frames import WatchedFrames
    from gpsattn_jax.data.videos.sampled_features import SampledFeatures, thumbnail

    frames = WatchedFrames(video, RATE, extractor.shorter_side)
    extract = extractor.make()
    features, known, pictures = [], [], []
    title = f"{name} features of {pathlib.Path(video).name}"
    with ProgressBar(title, frames.expected) as bar, warnings.catch_warnings():
        # Its warning is `frames.problem`, which the summary contains.
        warnings.simplefilter("ignore", UserWarning)
        for batch in _batches(frames.changes(), extractor.together):
            features.append(extract(np.stack([frame.image for frame, _ in batch])))
            for frame, change in batch:
                known.append((frame.time, frame.index, *change))
                pictures.append(thumbnail(frame.image))
            bar.update(len(known))
    times, indices, change_times, change_indices = np.array(known, np.float64).T
    return SampledFeatures(
        features=np.concatenate(features).astype(np.float32),
        times=times,
        indices=indices.astype(np.int64),
        change_times=change_times,
        change_indices=change_indices.astype(np.int64),
        thumbnails=tuple(pictures),
        rate=RATE,
        start=frames.info.start,
        num_frames=frames.n_frames,
        duration=float(frames.duration),
        frame_rate=float(frames.info.frame_rate),
        has_audio=frames.info.has_audio,
        extractor=name,
        problem=frames.problem,
    )


def _batches(items: Iterable, size: int) -> Iterator[list]:
    items = iter(items)
    while batch := list(itertools.islice(items, size)):
        yield batch
