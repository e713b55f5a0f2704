"""The paper's protocol of PGL-SUM: what it reads from the scores of every epoch."""

import pathlib

import numpy as np

from gpsattn_jax import evaluation
from gpsattn_jax.systems.pglsum.scores import METRICS
from gpsattn_jax.training.logs import read_metrics


def paper_rows(workdir: pathlib.Path) -> dict[str, dict[str, float]]:
    """The paper's two readings of a run, and the last epoch, from its log.

    Every epoch was scored on the test videos. Table IV of the paper takes the epoch
    that the training loss chooses (`evaluation.select_epoch`), Table III the maximum
    over all epochs, which no one can know in advance.
    """
    log = read_metrics(workdir)
    losses = [line["loss"] for line in log if "loss" in line]
    scored = [
        {n: line[f"evaluation/{n}"] for n in METRICS if f"evaluation/{n}" in line}
        for line in log
        if any(name.startswith("evaluation/") for name in line)
    ]
    if len(scored) != len(losses) or not losses:
        raise ValueError(
            f"{workdir}: the paper's protocol needs a loss and a score of each epoch "
            f"(train.log_every=1 epoch, train.evaluate_every=1 epoch); got "
            f"{len(losses)} and {len(scored)}."
        )
    epoch = evaluation.select_epoch(np.array(losses))
    # A metric is left out of an epoch in which it was not defined.
    best = {
        name: max(row[name] for row in scored if name in row)
        for name in METRICS
        if any(name in row for row in scored)
    }
    return {
        "PGL-SUM (ours), last epoch": scored[-1],
        "PGL-SUM (ours), the paper's criterion": scored[epoch - 1],
        "PGL-SUM (ours), maximum on test": best,
    }
