r"""Actions in a long sequence of joints, or as joints come in: a line for each window.

python experiments/recognize_stream.py --workdir=runs/mine --clip=long.npy --fps=30
pose_estimator | python experiments/recognize_stream.py --workdir=runs/mine --clip=- \
    --window=2 --every=0.5 --smooth=3 --threshold=0.5

The run is one of experiments/gpsnet.py. With --clip=- each line of standard input is a
frame, {"joints": [[x, y, z], null, …]} or, of several persons, {"joints": [[[x, y, z],
…], …]}, null for what is missing, and if wanted "time" in seconds. A line that comes
out says where the window ends, what it shows, and how likely that is.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("recognize")
