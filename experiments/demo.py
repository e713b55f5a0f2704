"""The demo: trains a small GSA-Net on handwritten digits and shows what it attends to.

python3 dev.py demo
"""

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems import gsanet

_WORKDIR = flags.DEFINE_string("workdir", "runs/digits", "Checkpoints, logs, report.")
config_flags.define(gsanet.Config)


def main(_):
    """Trains (or goes on), evaluates beside the baselines, writes the report."""
    config = config_flags.override(gsanet.SETUPS["digits"])
    gsanet.train(config, _WORKDIR.value)
    gsanet.evaluate(_WORKDIR.value)
    gsanet.report(_WORKDIR.value)


if __name__ == "__main__":
    config_flags.run(main)
