"""What `four_systems_test.py` runs in one process, or in several: all four systems.

Each job is `train:WORKDIR:STEPS`, `extend:WORKDIR:STEPS` or `evaluate:WORKDIR`, on the
data that `make_data` wrote; below a workdir each system has a folder. SGD, since Adam's
quotients magnify what is rounding alone; a constant learning rate, so that runs may be
extended and end as one that was longer from the start.
"""

import argparse
import dataclasses
import json
import pathlib

import jax
import numpy as np

from gpsattn_jax.data.videos.feature_files import write_videos
from gpsattn_jax.models import gsanet as gsanet_models
from gpsattn_jax.models import pglsum as pglsum_models
from gpsattn_jax.models import transxnet as transxnet_models
from gpsattn_jax.systems import SYSTEMS, gsanet, pglsum, transxnet
from gpsattn_jax.systems.image_classifier import probabilities
from gpsattn_jax.systems.image_classifier.run import test_images
from gpsattn_jax.systems.pglsum.setups import DataConfig
from gpsattn_jax.training import Machine, TrainConfig
from tests.data.videos.annotated_videos import annotated, write_splits
from tests.systems.gpsnet import small as gpsnet_small

TRAIN = TrainConfig(
    batch_size=8,
    optimizer="sgd",
    learning_rate=0.01,
    schedule="constant",
    warmup_steps=0,
    log_every=1,
    evaluate_every=100,
    ema_decay=0.9,
)


def make_data(folder):
    """Clips and videos; the digits come with scikit-learn."""
    gpsnet_small.make_clips(folder / "clips")
    # Of other lengths, so that the processes' rows differ; 3 test videos, 7 to train.
    videos = [annotated(n, steps=5 + 7 * n, shots=2 * (5 + n)) for n in range(10)]
    write_videos(folder / "videos.h5", videos, {"extractor": "test"})
    write_splits(folder / "splits.json", [(list(range(7)), [7, 8, 9])])


def configs(folder):
    """{system: the config of its run}."""
    clips = gpsnet_small.config(folder / "clips", folder / "clips" / "chain6.json")
    return {
        "gpsnet": dataclasses.replace(clips, train=TRAIN),
        "gsanet": gsanet.Config(
            model=gsanet_models.Config(
                layers=(2,), widths=(8,), expansion=2, mixers=("gsa",), num_heads=4,
                image_size=8, stem="small", in_channels=1, num_classes=10,
                balanced=False,
            ),
            train=TRAIN,
        ),
        "pglsum": pglsum.Config(
            model=pglsum_models.Config(
                input_size=16, num_heads=2, local_heads=2, num_segments=2
            ),
            data=DataConfig(
                file="videos.h5", splits="splits.json", extractor="test",
                validation_videos=2,
            ),
            train=dataclasses.replace(TRAIN, ema_decay=0.0, best_metric="tau"),
        ),
        "transxnet": transxnet.Config(
            model=transxnet_models.Config(
                depths=(1,), widths=(16,), num_heads=(2,), num_groups=(2,),
                kernel_sizes=(3,), reductions=(2,), mlp_ratios=(2,), remat=(False,),
                image_size=8, in_channels=1, num_classes=10,
            ),
            train=TRAIN,
        ),
    }  # fmt: skip


def train(name, config, steps, workdir, folder, machine):
    settings = dataclasses.replace(config.train, num_steps=steps)
    config = dataclasses.replace(config, train=settings)
    SYSTEMS[name].face().train(config, workdir, data_dir=folder, machine=machine)


def evaluate(name, workdir, folder, machine):
    """Of each test example what the network says."""
    face = SYSTEMS[name].face()
    if name in ("gsanet", "transxnet"):
        run = face.restore(workdir, "latest", averaged=False, machine=machine)
        pictures = test_images(run.config, run.class_names, folder)
        shares = probabilities(run, pictures)
        return {"examples": len(shares), "scores": shares.ravel().tolist()}
    options = {"data_dir": folder, "with_baselines": False, "machine": machine}
    rows = face.evaluate(workdir, "latest", **options)
    if name == "gpsnet":
        shares = rows[0].probabilities
        return {"examples": len(shares), "scores": shares.tolist()}
    kept = json.loads((workdir / "evaluation.json").read_text())["videos"]
    scores = [video["scores"] for video in kept.values()]
    return {"examples": len(scores), "scores": sum(scores, [])}


def weights(workdir):
    """{system: all arrays of its last checkpoint by name}, on one device."""
    found = {}
    for name in SYSTEMS:
        run = SYSTEMS[name].face().restore(pathlib.Path(workdir) / name, averaged=False)
        leaves = jax.tree_util.tree_leaves_with_path((run.params, run.state))
        found[name] = {
            jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves
        }
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("jobs", nargs="+")
    parser.add_argument("--coordinator", default="")
    parser.add_argument("--process_id", type=int, default=0)
    parser.add_argument("--num_processes", type=int, default=1)
    given = parser.parse_args()
    machine = Machine(
        distributed="manual" if given.coordinator else "off",
        coordinator=given.coordinator,
        num_processes=given.num_processes,
        process_id=given.process_id,
        heartbeat_timeout=600,  # this machine may be busy
    )
    found = {}
    for job in given.jobs:
        kind, workdir, *steps = job.split(":")
        for name, config in configs(given.data).items():
            folder = pathlib.Path(workdir) / name
            if kind == "evaluate":
                found[name] = evaluate(name, folder, given.data, machine)
                continue
            extended = dataclasses.replace(machine, extend=kind == "extend")
            train(name, config, int(steps[0]), folder, given.data, extended)
            print("done", kind, name, flush=True)
    # Not printed, where the libraries' lines would come in between.
    (given.data / f"found-{given.process_id}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
