r"""Weights from elsewhere as a file of ours, and ours as PyTorch's.

python experiments/convert_checkpoint.py --source=transx-t.pth.tar \
    --output=tiny.safetensors
python experiments/convert_checkpoint.py --source=tiny.safetensors --to=torch \
    --output=tiny.pth
python experiments/convert_checkpoint.py --source=runs/nette --to=torch --output=n.pth
python experiments/convert_checkpoint.py --source=runs/utkinect \
    --output=utkinect.safetensors
python experiments/convert_checkpoint.py --source=summe.pth \
    --output=summe.safetensors --fusion=add --position=absolute
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("convert")
