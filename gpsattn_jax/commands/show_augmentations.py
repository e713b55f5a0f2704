"""Draws what each augmentation does, and what a whole recipe does."""

from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems.image_classifier import augmentation_report
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
Draws what each augmentation does, and what a whole recipe does.

  PROGRAM augmentations.png
  PROGRAM augmentations.png --augment.randaugment_ops=3""",
    words=("output",),
    main=("images", "augment.randaugment_ops", "augment.mixup", "augment.cutmix"),
)


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    flags.DEFINE_string(
        "images", None, "A folder, pattern or file; scikit-learn's two photographs."
    )
    flags.DEFINE_string("output", "augmentations.png", "The first of three PNGs.")
    config_flags.define(augmentation_report.Config)
    config_flags.run(lambda _: _main(flags.FLAGS), USAGE, argv)


def _main(given):
    """Writes the sheets and prints where they are."""
    config = config_flags.override(augmentation_report.Config())
    for path in augmentation_report.report(config, given.output, given.images):
        print(path)
