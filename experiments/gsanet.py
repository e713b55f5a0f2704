"""GSA-Net, and the plain ResNet beside it: train, evaluate, predict, report, export.

python experiments/gsanet.py --setup=digits --workdir=runs/digits
python experiments/gsanet.py --setup=digits --seeds=5 --workdir=runs/seeds
python experiments/gsanet.py --mode=evaluate --workdir=runs/digits
python experiments/gsanet.py --mode=predict --workdir=runs/digits --images=my_pictures
"""

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax.systems import SYSTEMS, command_line

if __name__ == "__main__":
    command_line.run(SYSTEMS["gsanet"])
