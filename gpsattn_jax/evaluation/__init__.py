"""What happens after the model, on the host: scores, tables, baselines."""

from gpsattn_jax.evaluation.correlation import (
    RankCorrelation,
    rank_correlation,
    rank_correlation_with_mean,
)
from gpsattn_jax.evaluation.epochs import select_epoch
from gpsattn_jax.evaluation.fscore import f_score, f_scores
from gpsattn_jax.evaluation.knapsack import knapsack
from gpsattn_jax.evaluation.kts import Segmentation, kts
from gpsattn_jax.evaluation.shots import (
    frame_scores,
    select_shots,
    shot_values,
    summarize,
)
from gpsattn_jax.evaluation.summary_baselines import (
    human_leave_one_out,
    human_rank_correlation,
)

__all__ = [
    "RankCorrelation",
    "Segmentation",
    "f_score",
    "f_scores",
    "frame_scores",
    "human_leave_one_out",
    "human_rank_correlation",
    "knapsack",
    "kts",
    "rank_correlation",
    "rank_correlation_with_mean",
    "select_epoch",
    "select_shots",
    "shot_values",
    "summarize",
]
