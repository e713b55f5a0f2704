r"""A trained network as a StableHLO or ONNX file that runs without our code.

python experiments/export.py --source=runs/digits --output=digits.stablehlo
python experiments/export.py --source=weights.safetensors --output=model.stablehlo
python experiments/export.py --source=runs/utkinect --output=utkinect.stablehlo
python experiments/export.py --source=runs/digits --output=digits.onnx --to=onnx
python experiments/export.py --mode=check --source=runs/digits --output=digits.stablehlo
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("export")
