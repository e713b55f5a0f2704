"""Draws what each augmentation does, and what a whole recipe does.

python experiments/show_augmentations.py --output=augmentations.png
python experiments/show_augmentations.py --output=augmentations.png --images=my_pictures --augment.randaugment_ops=3
"""  # noqa: E501

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.systems.image_classifier import augmentation_report

_IMAGES = flags.DEFINE_string(
    "images", None, "A folder, pattern or file; scikit-learn's two photographs."
)
_OUTPUT = flags.DEFINE_string("output", "augmentations.png", "The first of three PNGs.")
config_flags.define(augmentation_report.Config)


def main(_):
    """Writes the sheets and prints where they are."""
    config = config_flags.override(augmentation_report.Config())
    for path in augmentation_report.report(config, _OUTPUT.value, _IMAGES.value):
        print(path)


if __name__ == "__main__":
    config_flags.run(main)
