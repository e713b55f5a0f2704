"""A GSA-Net of one block on the digits, for tests of a run's whole journey."""

import dataclasses

from gpsattn_jax.models import gsanet as models
from gpsattn_jax.systems import gsanet
from gpsattn_jax.training import TrainConfig

SMALL = gsanet.Config(
    model=dataclasses.replace(
        models.VARIANTS["8px"], layers=(1,), widths=(8,), mixers=("gsa",)
    ),
    data=gsanet.SETUPS["digits"].data,
    train=TrainConfig(num_steps=4, evaluate_every=2, log_every=1, warmup_steps=1),
)
