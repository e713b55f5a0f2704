"""Draws what each augmentation does, and what a whole recipe does.

python experiments/show_augmentations.py --output=augmentations.png
python experiments/show_augmentations.py --output=augmentations.png --images=my_pictures --augment.randaugment_ops=3
"""  # noqa: E501

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("show-augmentations")
