r"""PGL-SUM: train on annotated videos, evaluate, score new ones, report, export.

python experiments/pglsum.py --setup=summe_shots --split=all --seeds=3 \
    --workdir=runs/summe --data_dir=data
python experiments/pglsum.py --mode=evaluate --workdir=runs/summe --data_dir=data
python experiments/pglsum.py --mode=report --workdir=runs/summe/split-0/seed-0 \
    --data_dir=data
python experiments/pglsum.py --mode=predict --workdir=runs/summe/split-0/seed-0 \
    --features=mine.h5 --output=scores.json
python experiments/pglsum.py --mode=evaluate --init_from=official.pkl --setup=summe \
    --workdir=runs/official --data_dir=data

A video in, a summary out: experiments/summarize_video.py.
"""

from gpsattn_jax import commands

if __name__ == "__main__":
    commands.run("pglsum")
