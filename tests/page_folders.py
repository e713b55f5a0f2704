"""What the pages' commands find in their folder: runs, pictures, clips, videos."""

import json
import os
import pathlib
import pickle

import numpy as np

from gpsattn_jax.data.skeletons.demo_clips import write_demo_clips
from tests.scripts import run_script

STEPS = (
    "--train.num_steps=4", "--train.evaluate_every=4", "--train.warmup_steps=1",
    "--train.log_every=1",
)  # fmt: skip
GROUPS = ("--model.layers=1,1", "--model.widths=8,8")
# Put before a page's own flags, which win.
SMALL = {
    "gsanet": (*STEPS, "--train.batch_size=8", *GROUPS),
    "gpsnet": (
        *STEPS, "--train.batch_size=8", "--train.accumulate=1", "--model.widths=8,8",
    ),
    "pglsum": (*STEPS,),
}  # fmt: skip


def run(script, *arguments):
    """Runs a script that must succeed."""
    code, out, err = run_script(script, *arguments)
    assert code == 0, f"{script} {' '.join(map(str, arguments))}: {out}{err}"


def digits_run(name, *flags, small=SMALL["gsanet"]):
    """A GSA-Net of two blocks, some steps on the digits."""
    return lambda: run("gsanet", "--setup=digits", *small, *flags, f"--workdir={name}")


def pictures_run(name):
    """The network of `cifar100_patches` on three classes of pictures."""

    def make():
        pictures(f"{name}_pictures", ("a", "b", "c"), 6)()
        run(
            "gsanet", "--setup=cifar100_patches", *STEPS, "--train.batch_size=4",
            "--data.name=folder", f"--data.folder={name}_pictures", "--data_dir=.",
            "--data.validation_images=3", "--model.num_classes=3", f"--workdir={name}",
        )  # fmt: skip

    return make


def gpsnet_run(name, *flags):
    """A small GPS-Net on made-up clips, which stay in clips/."""

    def make():
        clips()
        run(
            "gpsnet", "--setup=folder", "--data.path=clips", "--data.layout=coco17",
            *SMALL["gpsnet"], *flags, f"--workdir={name}",
        )  # fmt: skip

    return make


def clips():
    """clips/ of stick figures; one of them as wave.npy, all joined as long.npy."""
    if not os.path.exists("clips"):
        write_demo_clips("clips", clips=20)
    arrays = [np.load(path) for path in sorted(pathlib.Path("clips").glob("*.npy"))]
    np.save("wave.npy", arrays[0])
    np.save("long.npy", np.concatenate(arrays[:4]))
    frames = [json.dumps({"joints": frame.tolist()}) for frame in np.load("long.npy")]
    pathlib.Path("long.jsonl").write_text("\n".join(frames) + "\n")


def bodies():
    """wave.npy and long.npy, of 20 joints as UTKinect has them."""
    draw = np.random.default_rng(0)
    for name, length in (("wave", 40), ("long", 200)):
        np.save(f"{name}.npy", draw.normal(size=(length, 20, 3)).cumsum(0))


def pictures(folder, classes=(), count=2, size=8):
    """PNGs of noise, a folder for each class."""
    import PIL.Image

    def make():
        draw = np.random.default_rng(0)
        for name in classes or ("",):
            at = pathlib.Path(folder, name)
            at.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 256, (size, size, 3), np.uint8)
                PIL.Image.fromarray(pixels).save(at / f"{number}.png")

    return make


def video(name):
    """Four seconds of four colours, with sound."""

    def make():
        from tests.data.videos.media.made_videos import write_video

        pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_video(name, sound=True)

    return make


def table(name, text):
    """A file of lines."""
    return lambda: pathlib.Path(name).write_text(text)


def pickles():
    """Annotations as pyskl has them, in one file and in two; st-gcn's pairs."""
    draw = np.random.default_rng(0)
    parts = {}
    for part in ("xsub_train", "xsub_val"):
        parts[part] = [
            {
                "frame_dir": f"{part}_{number}", "label": number % 2,
                "keypoint": draw.normal(size=(1, 12, 17, 2)).astype(np.float32),
            }
            for number in range(12)
        ]  # fmt: skip
    split = {part: [one["frame_dir"] for one in made] for part, made in parts.items()}
    both = {"split": split, "annotations": sum(parts.values(), [])}
    for name, content in (
        ("my", both), ("train", parts["xsub_train"]), ("val", parts["xsub_val"]),
    ):  # fmt: skip
        pathlib.Path(f"{name}.pkl").write_bytes(pickle.dumps(content))
    os.mkdir("kinetics")
    for part in ("train", "val"):
        names = [f"{part}{number}" for number in range(12)]
        joints = draw.uniform(0, 340, (12, 3, 10, 18, 1)).astype(np.float32)
        joints[:, 2] /= 340  # a confidence
        np.save(f"kinetics/{part}_data.npy", joints)
        labels = pickle.dumps((names, [number % 2 for number in range(12)]))
        pathlib.Path(f"kinetics/{part}_label.pkl").write_bytes(labels)
