"""TransXNet: train, fine-tune, evaluate, predict, report, export.

python experiments/transxnet.py --setup=imagenette --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=evaluate --workdir=runs/nette --data_dir=data
python experiments/transxnet.py --mode=predict --workdir=runs/nette --images=my_pictures
"""

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax.systems import SYSTEMS, command_line

if __name__ == "__main__":
    command_line.run(SYSTEMS["transxnet"])
