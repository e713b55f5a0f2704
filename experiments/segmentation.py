"""Segmentation, a class for each pixel: train, evaluate, predict, report, export.

python experiments/segmentation.py --setup=textured_digits --workdir=runs/seg
python experiments/segmentation.py --mode=evaluate --workdir=runs/seg
python experiments/segmentation.py --mode=predict --workdir=runs/seg --images=photos
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("segmentation")
