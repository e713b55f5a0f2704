"""Shots found in a montage against its true bounds: hits, misses, other cuts.

The demo montage joins nine videos; where one ends is known to the frame. Some of them
have cuts of their own, and things come and go: what is found beyond the true bounds is
no mistake by itself, and is listed.
"""

import json
import pathlib
import sys
import tempfile
import time

import numpy as np

from gpsattn_jax.data.data_folder import data_folder
from gpsattn_jax.systems.video_summary import run as video_summary
from gpsattn_jax.systems.video_summary.frame_features import (
    EXTRACTORS,
    extract_features,
)
from gpsattn_jax.systems.video_summary.shots import find_cuts, shot_bounds

HEAD = (
    "features", "true bounds", "hits within 0.5 s", "largest error s", "shots found",
    "other cuts", "segments that 15 % keep", "features s", "shots s",
)  # fmt: skip
TOLERANCE = 0.5
MONTAGE = "video/demo_montage.mp4"


def rows(seconds: float):
    """A row for each extractor; times are of one run, compiling included."""
    del seconds
    video = (data_folder() or pathlib.Path()) / MONTAGE
    if not video.exists():
        print(f"left out: {video} is not there ($GPSATTN_DATA_DIR)", file=sys.stderr)
        return
    truth = json.loads(video.with_suffix(".json").read_text())
    for name in EXTRACTORS:
        with tempfile.TemporaryDirectory() as cache:
            yield row(name, video, truth, cache)


def row(name, video, truth, cache):
    """Extracts, cuts, compares; `cache` is an empty folder."""
    begun = time.monotonic()
    sampled = extract_features(video, name, cache_dir=cache)
    extracted = time.monotonic()
    cuts = find_cuts(sampled.features, sampled.rate, penalty=EXTRACTORS[name].penalty)
    shots = shot_bounds(cuts, sampled.change_times, sampled.start, sampled.end)
    cut = time.monotonic()
    true = np.array([part["start"] for part in truth["segments"][1:]]) / truth["fps"]
    errors, others = compare(shots[1:, 0], true)
    config = video_summary.Config(extractor=name)
    plan = video_summary.plan_summary(video, config, cache_dir=cache)
    return (
        name,
        str(len(true)),
        str((errors <= TOLERANCE).sum()),
        f"{errors.max():.2f}",
        str(len(shots)),
        str(len(others)),
        "; ".join(kept(plan.segments, truth)),
        f"{extracted - begun:.2f}",
        f"{cut - extracted:.3f}",
    )


def compare(found, true):
    """(distance from each true bound to the nearest found, found ones near no true)."""
    apart = np.abs(np.asarray(found)[:, None] - true)
    if not len(found):
        return np.full(len(true), np.inf), np.zeros(0)
    return apart.min(0), found[apart.min(1) > TOLERANCE]


def kept(segments, truth):
    """What of each source is kept, such as `mdn_frog 3.1 s`."""
    for part in truth["segments"]:
        start, end = part["start"] / truth["fps"], (part["end"] + 1) / truth["fps"]
        inside = sum(max(0.0, min(b, end) - max(a, start)) for a, b in segments)
        if inside > 0.05:
            yield f"{pathlib.Path(part['source']).stem} {inside:.1f} s"
