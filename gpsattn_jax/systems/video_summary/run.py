"""A video in, a summary out: features, shots, scores, choice, an mp4 and a JSON."""

import dataclasses
import json
import os
import pathlib
import tempfile
import time

import numpy as np

from gpsattn_jax.files import replaced
from gpsattn_jax.progress import ProgressBar
from gpsattn_jax.systems.video_summary import frame_features
from gpsattn_jax.systems.video_summary import shots as video_shots
from gpsattn_jax.systems.video_summary.result import (
    Config,
    Summary,
    as_dict,
    print_summary,
)
from gpsattn_jax.systems.video_summary.scorers import choose_scorer

__all__ = [
    "Config",
    "Summary",
    "check_output",
    "plan_summary",
    "print_summary",
    "summarize_video",
    "write_summary",
]

FEWEST = 4  # shots of a summary, if it is long enough for them
LEAST = 0.1  # seconds of a summary, or one frame, whatever the budget


def summarize_video(
    video: str | os.PathLike,
    output: str | os.PathLike,
    config: Config | None = None,
    *,
    cache_dir: str | os.PathLike | None = None,
) -> Summary:
    """Chooses a summary and writes it: OUTPUT.mp4 with its sound, and OUTPUT.json.

    Each file appears whole or not at all; features are kept, so that another summary of
    the same video takes seconds.

    Args:
        video: any file that FFmpeg reads.
        output: the mp4 to be.
        config: how; the defaults if None.
        cache_dir: where features are kept; see `frame_features.extract_features`.

    Raises:
        FileNotFoundError, OSError: if the video cannot be read or the output written.
        ValueError: if the video is not readable as one, or output is the video.
        ImportError: if a package is not installed that is needed.
    """
    check_output(output, video)
    check_output(pathlib.Path(output).with_suffix(".json"), video, ".json")
    summary = plan_summary(video, config, cache_dir=cache_dir)
    return write_summary(summary, video, output)


def check_output(
    output: str | os.PathLike, video: str | os.PathLike, suffix: str = ".mp4"
) -> None:
    """Finds out before long work whether a file can be written.

    Args:
        output: the file to be.
        video: the source, which it must not be.
        suffix: that it must end in.

    Raises:
        OSError: `OUTPUT cannot be written: why`.
        ValueError: if it is the video itself, or has another suffix.
    """
    output = pathlib.Path(output)
    if output.suffix.lower() != suffix:
        got = os.fspath(output) if output.name else "nothing"
        raise ValueError(f"output must end in {suffix}; got {got}.")
    if output.exists() and os.path.exists(video) and os.path.samefile(output, video):
        raise ValueError(f"output must not be the video itself; got {output} for both.")
    if output.is_dir():
        raise IsADirectoryError(f"{output} cannot be written: it is a folder.")
    folder = next(path for path in output.absolute().parents if path.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"{output} cannot be written: {why}.") from error


def plan_summary(
    video: str | os.PathLike,
    config: Config | None = None,
    *,
    cache_dir: str | os.PathLike | None = None,
) -> Summary:
    """Looks at a video and chooses; nothing is written but the kept features.

    Args:
        video: any file that FFmpeg reads.
        config: how; the defaults if None.
        cache_dir: where features are kept; see `frame_features.extract_features`.

    Raises:
        FileNotFoundError, OSError, ValueError, ImportError: as `summarize_video`.
    """
    config = config or Config()
    scorer = choose_scorer(config.checkpoint, config.extractor)
    audio = _find_sound(video, config.audio)
    clock = _Clock()
    sampled = frame_features.extract_features(
        video, scorer.extractor, cache_dir=cache_dir
    )
    clock.stop("features")
    budget = config.budget(sampled.duration)
    cuts = _cuts(sampled, config, budget)
    clock.stop("shots")
    scores = scorer.score(sampled, cuts)
    values = video_shots.shot_scores(scores, cuts)
    shots = video_shots.shot_bounds(
        cuts, sampled.change_times, sampled.start, sampled.end
    )
    clock.stop("scores")
    chosen, segments, whole = _choose(values, shots, budget, scores, sampled)
    clock.stop("choice")
    return Summary(
        video=sampled,
        config=config,
        scorer=scorer.name,
        scores=scores,
        shots=shots,
        shot_scores=values,
        chosen=chosen,
        segments=segments,
        whole_shots=whole,
        audio=audio,
        timings=clock.timings,
    )


def _find_sound(video, choice):
    from gpsattn_jax.data.videos.media.sound import find_sound

    return find_sound(os.fspath(video), choice)


def _cuts(sampled, config, budget):
    extractor = frame_features.find_extractor(sampled.extractor)
    # A summary of one or two long shots shows little, one that fits none nothing.
    longest = max(min(config.longest, budget / FEWEST), 2 * config.shortest)
    return video_shots.find_cuts(
        sampled.features,
        sampled.rate,
        penalty=extractor.penalty if config.penalty is None else config.penalty,
        shortest=config.shortest,
        longest=longest,
    )


def _choose(values, shots, budget, scores, sampled):
    """(chosen [S], segments, True), or the best shot's best part, and False."""
    chosen = video_shots.choose_shots(values, shots, budget)
    if chosen.any():
        return chosen, tuple((float(a), float(b)) for a, b in shots[chosen]), True
    best = int(np.argmax(values))
    chosen[best] = True
    length = max(budget, min(1 / sampled.frame_rate, LEAST))
    part = video_shots.best_part(scores, sampled.step_times(), shots[best], length)
    return chosen, (part,), False


def write_summary(
    summary: Summary, video: str | os.PathLike, output: str | os.PathLike
) -> Summary:
    """Writes OUTPUT.mp4 and OUTPUT.json; returns the summary with the real cuts.

    Args:
        summary: of `plan_summary`.
        video: the source.
        output: the mp4 to be.

    Raises:
        OSError: if they cannot be written.
        ValueError: if output is the video.
    """
    from gpsattn_jax.data.videos.media.writing import write_segments

    check_output(output, video)
    output, clock = pathlib.Path(output), _Clock()
    with ProgressBar(f"writing {output.name}", summary.length, "s") as bar:
        written = write_segments(
            video,
            output,
            summary.segments,
            audio=summary.config.audio,
            progress=lambda done, _: bar.update(done),
        )
    clock.stop("writing")
    summary = dataclasses.replace(
        summary,
        segments=written.segments,
        audio=written.audio,
        tone_mapped=written.tone_mapped,
        timings=summary.timings | clock.timings,
    )
    with replaced(output.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(as_dict(summary, video, output), indent=1) + "\n")
    return summary


class _Clock:
    """Seconds of one stage after the other."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.monotonic()

    def stop(self, stage):
        now = time.monotonic()
        self.timings[stage], self._last = now - self._last, now
