"""Runs the benchmarks and writes their tables: `python3 dev.py bench`.

`--accelerator` is another run, on a card: see `benchmarks/accelerator`.
"""

import importlib
import os
import pathlib
import re
import subprocess
import sys
import time

from absl import app, flags

from benchmarks import timing
from benchmarks.accelerator import command as accelerator
from gpsattn_jax import launch

BENCHMARKS = {
    "gsa_module": "GSA module, C = 256, 8 heads, float32",
    "mixers": "Mixers of all eight schemes, C = 64, 4 heads, float32",
    "gsa_resnet": "GSA-ResNet-50, a training step",
    "cifar_networks": "Networks of CIFAR-100's table, a training step of 32 images",
    "depthwise": "Depthwise convolution, forward and backward, float32",
    "transxnet": "TransXNet, float32, beside PyTorch",
    "pglsum": "PGL-SUM, time by length, float32, beside PyTorch",
    "gpsnet": "GPS-Net, training and recognition, float32, beside PyTorch",
    "skeleton_parts": "GPS-Net, test accuracy with parts silenced",
    "video_evaluation": "Evaluation of video summaries, on the host",
    "efficientnet_lite": "EfficientNet-Lite0, the extractor of frame features",
    "shot_bounds": "Shots found in a montage, and what a summary keeps",
    "summary_coverage": "Coverage of held-out clips by summaries of 15 %",
    "input_pipeline": "Input pipeline: images/s of each part, and what a step consumes",
    "runtime": "The runtime beside a bare jitted loop",
    "checkpoints": "Checkpoints: how long the loop waits, and what is on disk",
    "first_step": "Time to the first step",
}

NOT_TIMES = {"skeleton_parts", "summary_coverage"}  # tables of docs/results.md: by name

_ONLY = flags.DEFINE_enum("only", None, sorted(BENCHMARKS), "Run one of them.")
_SECONDS = flags.DEFINE_float("seconds", 4.0, "Time spent on a row.")
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Folder of data sets; $GPSATTN_DATA_DIR by default."
)
_WRITE = flags.DEFINE_bool("write", False, "Write the tables to benchmarks/RESULTS.md.")

_ACCELERATOR = flags.DEFINE_bool(
    "accelerator", False, "One prepared run on the accelerator at hand, instead."
)
_TINY = flags.DEFINE_bool("tiny", False, "Of it: small shapes, on a CPU as well.")
_MINUTES = flags.DEFINE_float(
    "minutes", 8.0, "Of it: after these no row is begun.", lower_bound=0.0
)
_FRESH = flags.DEFINE_bool("fresh", False, "Of it: measure again what is done.")
_RESULTS_DIR = flags.DEFINE_string(
    "results_dir", None, "Of it: folder of JSON and table; benchmarks/cards by default."
)
WITH_TABLES, WITH_ACCELERATOR = (
    ("only", "seconds", "data_dir", "write"),
    ("tiny", "minutes", "fresh", "results_dir"),
)

RESULTS = pathlib.Path(__file__).with_name("RESULTS.md")


def main(_) -> int:
    """Each benchmark in a process of its own, so that none warms another's memory."""
    check_flags()
    if _ACCELERATOR.value:
        return accelerator.run(
            _RESULTS_DIR.value,
            tiny=_TINY.value,
            minutes=_MINUTES.value,
            fresh=_FRESH.value,
        )
    if _DATA_DIR.value is not None:
        os.environ["GPSATTN_DATA_DIR"] = _DATA_DIR.value  # the other processes', too
    if _ONLY.value is not None:
        text = table(_ONLY.value)
        print(text, flush=True)
        if _WRITE.value:
            replace_table(text)
        return 0
    begin = time.monotonic()
    for name in BENCHMARKS:
        if name in NOT_TIMES:
            continue
        start = time.monotonic()
        command = [sys.executable, "-m", "benchmarks.run", f"--only={name}"]
        command.append(f"--seconds={_SECONDS.value}")
        command += ["--write"] if _WRITE.value else []
        subprocess.run(command, check=True)
        now = time.monotonic()
        minutes, whole = ((now - then) / 60 for then in (start, begin))
        print(f"\n{name}: {minutes:.1f} of {whole:.1f} minutes.\n", flush=True)
    return 0


def check_flags() -> None:
    """Ends the process where a flag of the one run is given to the other."""
    if _ACCELERATOR.value:
        names, message = WITH_TABLES, "--{} does not go with --accelerator."
    else:
        names, message = WITH_ACCELERATOR, "--{} needs --accelerator."
    for name in names:
        if flags.FLAGS[name].present:
            sys.exit(message.format(name))


def table(name: str) -> str:
    """Title, machine and table of one benchmark, in Markdown."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    lines = [cells(benchmark.HEAD), cells(["---"] * len(benchmark.HEAD))]
    for row in benchmark.rows(_SECONDS.value):
        print(f"{name}: {'  '.join(row)}", file=sys.stderr, flush=True)
        lines.append(cells(row))
    # Asked last: it takes hold of the accelerator, which a row's own process may need.
    title = [f"## {BENCHMARKS[name]}", "", f"`{timing.machine()}`", ""]
    return "\n".join(title + lines)


def cells(row) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(row)} |"


def replace_table(text: str) -> None:
    """Puts a table in the place of its older one in RESULTS.md, or after the others.

    What people wrote, outside the marks, stays. Every table is written when it is done,
    so that a run that is interrupted loses one.

    Args:
        text: begins with the table's title, as "## GSA module".
    """
    before, after = "<!-- tables -->", "<!-- end of tables -->"
    whole = RESULTS.read_text() if RESULTS.exists() else f"{before}\n{after}\n"
    head, rest = whole.split(before)
    tables, tail = rest.split(after)
    by_title = {
        table.splitlines()[0]: table.strip()
        for table in re.split(r"^(?=## )", tables, flags=re.MULTILINE)
        if table.strip()
    }
    by_title[text.splitlines()[0]] = text.strip()
    tables = "\n\n".join(by_title.values())
    RESULTS.write_text(f"{head}{before}\n\n{tables}\n\n{after}{tail}")


if __name__ == "__main__":
    launch.avoid_wrong_sums()
    launch.preload_allocator()
    app.run(main)
