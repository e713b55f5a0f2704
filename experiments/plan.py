r"""Plans a run on devices that need not be there: memory, work, collectives, bounds.

python experiments/plan.py --system=transxnet --setup=imagenet --topology=v5e:4x4 \
    --mesh=data:16
python experiments/plan.py --system=pglsum --setup=tvsum --topology=v5e:2x2 \
    --steps=2000 --fit --json=plan.json
python experiments/plan.py --system=gsanet --setup=digits --topology=cpu:8 \
    --what=evaluate

TPUs need libtpu (`pip install 'gpsattn-jax[tpu]'`) and no TPU; cpu:8 needs nothing.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("plan")
