r"""Actions in a long sequence of joints, or as joints come in: a line for each window.

python experiments/recognize_stream.py --workdir=runs/mine --clip=long.npy --fps=30
pose_estimator | python experiments/recognize_stream.py --workdir=runs/mine --clip=- \
    --window=2 --every=0.5 --smooth=3 --threshold=0.5

The run is one of experiments/gpsnet.py. The same as `gpsattn recognize`; --help says
more.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("recognize")
