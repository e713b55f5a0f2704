"""The demo: a small GSA-Net learns handwritten digits, and what it attends to."""

from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems import gsanet
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
Trains a small GSA-Net on handwritten digits, a minute or two on two cores,
prints a table beside plain classifiers, and writes a page that shows what a
pixel attends to.

  PROGRAM
  PROGRAM --workdir=runs/longer --train.num_steps=2000""",
    main=("workdir", "train.num_steps", "train.learning_rate", "train.seed"),
)


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    flags.DEFINE_string("workdir", "runs/digits", "Checkpoints, logs, report.")
    config_flags.define(gsanet.Config)
    config_flags.run(lambda _: _main(flags.FLAGS.workdir), USAGE, argv)


def _main(workdir):
    """Trains (or goes on), evaluates beside the baselines, writes the report."""
    config = config_flags.override(gsanet.SETUPS["digits"])
    gsanet.train(config, workdir)
    gsanet.evaluate(workdir)
    gsanet.report(workdir)
