"""The demo: trains a small GSA-Net on handwritten digits and shows what it attends to.

python3 dev.py demo
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("demo")
