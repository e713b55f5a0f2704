"""The host's part of video summarization: knapsack, shots, rank correlation."""

import functools

import numpy as np

from benchmarks.timing import interleaved
from gpsattn_jax.evaluation import human_rank_correlation, knapsack, kts

HEAD = ("task", "size", "ours ms", "beside it", "its ms", "its / ours")
DIMENSION = 1280  # of the frame features that the package extracts
SHOT = 12  # steps of a scene: 6 s at 2 steps a second


def rows(seconds: float):
    """A row for each task and size: the cells of HEAD."""
    for shots, frames, capacity in (
        (300, 8_000, 1_200),
        (300, 8_000, 8_000),
        (5_000, 100_000, 15_000),
        (5_000, 100_000, 100_000),
    ):
        yield knapsack_row(shots, frames, capacity, seconds)
    for steps, lmax in ((1_000, None), (2_000, None), (7_200, 240)):
        yield kts_row(steps, lmax, seconds, num_cuts=None)
        yield kts_row(steps, lmax, seconds, num_cuts=steps // SHOT)
    yield people_row(20, 500, seconds)


def knapsack_row(shots, frames, capacity, seconds):
    """Random shots of a video; the plain loop stands beside the small sizes."""
    draw = np.random.default_rng(0)
    cuts = np.sort(draw.choice(np.arange(1, frames), shots - 1, replace=False))
    lengths = np.diff(np.concatenate([[0], cuts, [frames]]))
    values = draw.random(shots)
    candidates = {"ours": functools.partial(knapsack, lengths, values, capacity)}
    if shots * capacity < 10_000_000:
        beside = "plain Python loop"
        plain = functools.partial(
            plain_knapsack, lengths.tolist(), values.tolist(), capacity
        )
        candidates[beside] = plain
        check("knapsack", candidates["ours"](), plain())
    size = f"{shots:,} shots x {frames:,} frames, capacity {capacity:,}"
    return row("knapsack", size, candidates, seconds)


def kts_row(steps, lmax, seconds, *, num_cuts):
    """Scenes of random lengths; `ruptures` stands beside a fixed number of cuts."""
    features = scenes(steps)
    ours = functools.partial(kts, features, num_cuts, lmax=lmax)
    candidates, found = {"ours": ours}, len(ours().cuts)
    if num_cuts is not None and lmax is None:
        candidates |= ruptures_candidate(features, num_cuts)
        if len(candidates) > 1:
            check("kts", ours().cuts, candidates["ruptures"]())
    number = f"{found} cuts, {'given' if num_cuts else 'found'}"
    longest = "" if lmax is None else f", lmax {lmax}"
    return row("kts", f"T = {steps:,}{longest}; {number}", candidates, seconds)


def people_row(users, steps, seconds):
    """All pairs of users of a video."""
    scores = np.random.default_rng(0).integers(1, 6, (users, steps))
    candidates = {"ours": functools.partial(human_rank_correlation, scores)}
    size = f"{users} users x {steps} steps"
    return row("human rank correlation", size, candidates, seconds)


def row(task, size, candidates, seconds):
    """Times of ours and, if there is one, of what stands beside it."""
    times = interleaved(candidates, seconds=seconds, least=1)
    cells = [task, size, f"{times.pop('ours'):.1f}"]
    ours = float(cells[-1])
    for name, theirs in times.items():
        return (*cells, name, f"{theirs:.1f}", f"{theirs / ours:.1f}")
    return (*cells, "-", "-", "-")


def scenes(steps):
    """L2-normalised features [steps, DIMENSION] of scenes of random lengths."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(2, 2 * SHOT, steps)
    scene = np.repeat(np.arange(steps), lengths)[:steps]
    features = draw.random((scene.max() + 1, DIMENSION))[scene]
    features = np.abs(features + 0.2 * draw.normal(size=features.shape))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32)


def plain_knapsack(weights, values, capacity):
    """The textbook's double loop on lists."""
    table = [[0.0] * (capacity + 1)]
    for weight, value in zip(weights, values, strict=True):
        above, below = table[-1], []
        for room in range(capacity + 1):
            best = above[room]
            if weight <= room and above[room - weight] + value > best:
                best = above[room - weight] + value
            below.append(best)
        table.append(below)
    chosen = []
    for item in range(len(weights), 0, -1):
        if table[item][capacity] != table[item - 1][capacity]:
            chosen.append(item - 1)
            capacity -= weights[item - 1]
    return chosen[::-1]


def ruptures_candidate(features, num_cuts):
    """The turn of `ruptures`, in double precision; none without it."""
    try:
        import ruptures
    except ImportError:
        return {}

    def cut():
        search = ruptures.KernelCPD(kernel="linear", min_size=1)
        return search.fit(np.float64(features)).predict(n_bkps=num_cuts)[:-1]

    return {"ruptures": cut}


def check(name, ours, theirs):
    """Raises if the two differ: a wrong choice has no speed."""
    if list(ours) != list(theirs):
        raise AssertionError(f"{name} and what stands beside it choose differently.")
