"""TransXNet: train, fine-tune, evaluate, predict, report, export.

python experiments/transxnet.py --setup=imagenette --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=evaluate --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=predict --workdir=runs/nette --images=my_pictures
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("transxnet")
