"""GSA-Net, and the plain ResNet beside it: train, evaluate, predict, report, export.

python experiments/gsanet.py --setup=digits --workdir=runs/digits
python experiments/gsanet.py --setup=digits --seeds=5 --workdir=runs/seeds
python experiments/gsanet.py --mode=evaluate --workdir=runs/digits
python experiments/gsanet.py --mode=predict --workdir=runs/digits --images=my_pictures
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("gsanet")
