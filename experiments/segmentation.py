"""Segmentation, a class for each pixel: train, evaluate, predict, report, export.

python experiments/segmentation.py --setup=textured_digits --workdir=runs/seg
python experiments/segmentation.py --mode=evaluate --workdir=runs/seg
python experiments/segmentation.py --mode=predict --workdir=runs/seg --images=photos
"""

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax.systems import COMMANDS, command_line

if __name__ == "__main__":
    command_line.run(COMMANDS["segmentation"])
