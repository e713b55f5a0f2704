"""How a video is summarised, and what comes of it, also in words and as JSON."""

import dataclasses
import os
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from gpsattn_jax.configs import Checked, above, at_least, within
from gpsattn_jax.systems.video_summary import frame_features
from gpsattn_jax.systems.video_summary import shots as video_shots

if TYPE_CHECKING:  # needs Pillow
    from gpsattn_jax.data.videos.sampled_features import SampledFeatures

RATIO = 0.15  # of the video, unless a length is given


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Checked):
    """How a video is summarised.

    Attributes:
        ratio: share of the video that is kept at most, above 0, at most 1; 0.15 unless
            `seconds` are given.
        seconds: length of the summary at most, instead of a ratio.
        checkpoint: workdir of a run of PGL-SUM; without one, steps are scored by how
            well they stand for the video, with nothing trained.
        extractor: efficientnet_lite0 or color_histogram; by default the checkpoint's,
            or efficientnet_lite0.
        shortest: seconds of the shortest shot.
        longest: seconds of the longest shot. Shots are no longer than a quarter of the
            summary, either, unless that is below twice the shortest.
        penalty: on the number of shots; less gives more of them. By default the
            extractor's: 1 for efficientnet_lite0, 0.5 for color_histogram.
        audio: the sound track: default (the one that players take), none, a number,
            from 0, or a language such as eng.
    """

    ratio: Annotated[float | None, within("(0, 1]")] = None
    seconds: Annotated[float | None, above(0)] = None
    checkpoint: str = ""
    extractor: str = ""
    shortest: Annotated[float, above(0)] = video_shots.SHORTEST
    longest: Annotated[float, above(0)] = video_shots.LONGEST
    penalty: Annotated[float | None, at_least(0)] = None
    audio: str = "default"

    def check_together(self) -> None:
        """What no summary can be."""
        if self.ratio is not None and self.seconds is not None:
            raise ValueError(
                "ratio and seconds cannot both be given; got "
                f"{self.ratio} and {self.seconds}."
            )
        if self.longest < 2 * self.shortest:
            self.refuse("longest", f"be at least twice shortest={self.shortest}")
        if self.extractor:
            frame_features.find_extractor(self.extractor)

    def budget(self, duration: float) -> float:
        """Seconds that a summary of so long a video may have."""
        if self.seconds is not None:
            return min(self.seconds, duration)
        return duration * (RATIO if self.ratio is None else self.ratio)


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """What a summary keeps, and why; times are seconds as a player counts them.

    Attributes:
        video: the features that it was chosen by.
        config: how.
        scorer: the name of what scored, for people.
        scores: [T] of the steps.
        shots: [S, 2].
        shot_scores: [S].
        chosen: [S] booleans.
        segments: ((start, end), …) of what is kept; once written, the real cuts.
        whole_shots: False if no shot was short enough, and a part of one is kept.
        timings: seconds that each stage took.
        audio: the sound track, in words; "" if none.
        tone_mapped: HLG or PQ, if the picture was written tone-mapped from it; or "".
    """

    video: "SampledFeatures"
    config: Config
    scorer: str
    scores: np.ndarray
    shots: np.ndarray
    shot_scores: np.ndarray
    chosen: np.ndarray
    segments: tuple[tuple[float, float], ...]
    whole_shots: bool
    timings: dict[str, float]
    audio: str = ""
    tone_mapped: str = ""

    @property
    def length(self) -> float:
        """Seconds that are kept."""
        return sum(end - start for start, end in self.segments)

    @property
    def rest(self) -> str:
        """Why some of the budget stays unused, in words; or ""."""
        if not self.whole_shots:
            return ""
        budget = self.config.budget(self.video.duration)
        return video_shots.explain_rest(self.shots, self.chosen, budget)


def as_dict(
    summary: Summary, video: str | os.PathLike, output: str | os.PathLike
) -> dict[str, Any]:
    """The summary as JSON has it: times are seconds as a player counts them.

    Args:
        summary: of the video.
        video: the source.
        output: the mp4.
    """
    config, sampled = summary.config, summary.video
    shots = zip(summary.shots, summary.shot_scores, summary.chosen, strict=True)
    return {
        "source": os.fspath(video),
        "output": os.fspath(output),
        "picture_start": round(sampled.start, 3),
        "duration": round(sampled.duration, 3),
        "summary_duration": round(summary.length, 3),
        "budget": round(config.budget(sampled.duration), 3),
        "budget_left": summary.rest or None,
        "ratio": (config.ratio or RATIO) if config.seconds is None else None,
        "seconds": config.seconds,
        "extractor": sampled.extractor,
        "scorer": summary.scorer,
        "checkpoint": config.checkpoint or None,
        "problem": sampled.problem or None,
        "audio": summary.audio or None,
        "tone_mapped_from": summary.tone_mapped or None,
        "whole_shots": summary.whole_shots,
        "segments": [
            {"start": round(start, 3), "end": round(end, 3)}
            for start, end in summary.segments
        ],
        "shots": [
            {
                "start": round(float(start), 3),
                "end": round(float(end), 3),
                "score": _digits(score),
                "chosen": bool(chosen),
            }
            for (start, end), score, chosen in shots
        ],
        "steps_per_second": sampled.rate,
        "scores": [_digits(score) for score in summary.scores],
    }


def _silence(sampled):
    return "none, as asked" if sampled.has_audio else "none: the video has none"


def _digits(score):
    """Six digits, also of small scores: only their order counts."""
    return float(f"{score:.6g}")


def print_summary(summary: Summary, output: str | os.PathLike) -> None:
    """Prints what was done, and whether it was trained."""
    sampled, config = summary.video, summary.config
    if sampled.problem:
        print(f"Warning: {sampled.problem}", file=sys.stderr)
    if not config.checkpoint:
        print("No checkpoint is given, so nothing here was trained on people's taste.")
    print(f"scored by  {summary.scorer}; features of {sampled.extractor}")
    print(
        f"shots      {len(summary.shots)} in {sampled.duration:.1f} s, "
        f"{summary.chosen.sum()} of them chosen"
        + ("" if summary.whole_shots else "; none fits, so the best part of one")
    )
    print(
        f"summary    {summary.length:.2f} s of at most "
        f"{config.budget(sampled.duration):.2f} s"
        + (f"; {summary.rest}" if summary.rest else "")
    )
    print(f"sound      {summary.audio or _silence(sampled)}")
    if summary.tone_mapped:
        print(f"colours    tone-mapped from {summary.tone_mapped} to BT.709, 8 bits")
    print(
        "took       "
        + ", ".join(f"{name} {took:.2f} s" for name, took in summary.timings.items())
    )
    print(f"wrote      {output}, {pathlib.Path(output).with_suffix('.json')}")
