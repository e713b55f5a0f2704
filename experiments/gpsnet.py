r"""GPS-Net: train on clips of joints, evaluate, recognise new ones, report, export.

python experiments/gpsnet.py --setup=utkinect --workdir=runs/utkinect --data_dir=data
python experiments/gpsnet.py --setup=jhmdb14 --split=all --seeds=3 --stream=all \
    --workdir=runs/jhmdb --data_dir=data
python experiments/gpsnet.py --mode=evaluate --fuse=2,2,1,1 --workdir=runs/jhmdb \
    --data_dir=data
python experiments/gpsnet.py --setup=folder --data.path=clips --data.layout=coco17 \
    --workdir=runs/mine
python experiments/gpsnet.py --mode=predict --clip=wave.npy --workdir=runs/mine
python experiments/gpsnet.py --mode=report --workdir=runs/utkinect --data_dir=data

Recognition as a sequence comes in: experiments/recognize_stream.py.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("gpsnet")
