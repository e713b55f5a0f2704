r"""Draws the four pictures of the landing page into docs/front/.

python docs/front_pictures.py

What it needs comes with the package and its extras `data`, `plot` and `video`: trained
networks by name, scikit-learn's digits and photographs, made-up clips, a made-up video.
"""

import dataclasses
import pathlib
import shutil
import tempfile

import numpy as np

from gpsattn_jax import pretrained
from gpsattn_jax.data.images.sources import ImageSet
from gpsattn_jax.data.skeletons.demo_clips import LAYOUT, write_demo_clips
from gpsattn_jax.data.skeletons.load import load_parts
from gpsattn_jax.data.videos.media.demo_video import write_demo_video
from gpsattn_jax.systems import gpsnet, transxnet, video_summary
from gpsattn_jax.systems.gpsnet import pictures as gpsnet_pictures
from gpsattn_jax.systems.gsanet.pictures import draw_attention
from gpsattn_jax.systems.image_classifier import probabilities
from gpsattn_jax.systems.image_classifier.run import load_sets
from gpsattn_jax.systems.transxnet import pictures as transxnet_pictures
from gpsattn_jax.systems.video_summary.report import draw_summary
from gpsattn_jax.visualize import figures

CUTS = ((100, 0, 527, 427), (180, 40, 440, 300))  # left, top, right, bottom
FOLDER = pathlib.Path(__file__).resolve().parent / "front"


def draw_digits():
    """What a pixel of a digit attends to, in a trained GSA-Net."""
    run = pretrained.load("gsanet-digits")
    test = load_sets(run.config)["test"]
    return draw_attention(run, test, probabilities(run, test), count=2)


def draw_joints(scratch):
    """How much each joint is attended to, in a GPS-Net that has seen 40 clips."""
    config = gpsnet.SETUPS["folder"]
    config = dataclasses.replace(
        config,
        data=dataclasses.replace(
            config.data, path=str(write_demo_clips(scratch / "clips")), layout=LAYOUT
        ),
        train=dataclasses.replace(config.train, num_steps=60, evaluate_every=60),
    )
    gpsnet.train(config, scratch / "run")
    run, clips = gpsnet.restore(scratch / "run"), load_parts(config.data)["test"]
    shares = gpsnet.probabilities(run, clips)
    drawings = gpsnet_pictures.draw_attention(run, clips, shares)
    return next(iter(drawings.values()))[0]


def draw_photographs():
    """Where two cuts of a photograph speak for a class, in a small TransXNet."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    run = pretrained.load("transxnet-imagenette_64px")
    photograph = Image.fromarray(load_sample_images().images[0])  # of a temple
    cuts = [photograph.crop(box).resize((64, 64)) for box in CUTS]
    pixels = np.stack([np.asarray(cut, np.float32) / 255 for cut in cuts])
    labels = np.full(len(CUTS), run.class_names.index("church"))
    shares = transxnet.probabilities(run, ImageSet(pixels, labels, run.class_names))
    return transxnet_pictures.draw_evidence(
        pixels,
        transxnet_pictures.look(run, pixels),
        ["the temple", "its roofs"],
        shares,
        labels,
        run.class_names,
    )


def write_video(scratch):
    """The storyboard of a made-up video's summary, chosen by a trained PGL-SUM."""
    write_demo_video(scratch / "in.mp4")
    config = video_summary.Config(checkpoint="pglsum-tvsum", ratio=0.3)
    output = scratch / "video.mp4"
    summary = video_summary.summarize_video(
        scratch / "in.mp4", output, config, cache_dir=scratch
    )
    storyboard, _ = draw_summary(summary, output)
    shutil.copy(storyboard, FOLDER / "video.png")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        figures.write(draw_digits(), FOLDER / "digits.png")
        figures.write(draw_joints(scratch), FOLDER / "joints.png")
        figures.write(draw_photographs(), FOLDER / "photographs.png")
        write_video(scratch)
    print(*sorted(FOLDER.glob("*.png")), sep="\n")
