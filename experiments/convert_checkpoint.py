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

import os

from absl import flags

from gpsattn_jax import launch

launch.preload_allocator()  # before the imports that take their time

from gpsattn_jax import config_flags
from gpsattn_jax.convert import rewrite
from gpsattn_jax.systems import CHECKPOINTS, COMMANDS, run_files, runs

_SYSTEM = flags.DEFINE_enum(
    "system", None, sorted(COMMANDS), "Whose network it is; found in the source."
)
_SOURCE = flags.DEFINE_string(
    "source", None, "A file of weights, or a run's workdir.", required=True
)
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The file to write: .safetensors; for torch also .pth, .pt, .tar, .npz.",
    required=True,
)
_TO = flags.DEFINE_enum(
    "to", "ours", rewrite.FORMS, "Our file, or names and shapes of the original code."
)
_CHECKPOINT = flags.DEFINE_enum("checkpoint", "latest", CHECKPOINTS, "Of a run.")
_EMA = flags.DEFINE_bool("ema", False, "Of a run: the averaged weights.")
flags.DEFINE_integer("num_classes", None, "Of a file: another head, which starts new.")
flags.DEFINE_integer("image_size", None, "Of a file: resizes the tables of positions.")
flags.DEFINE_bool("features_only", None, "Of a file: maps of all stages, no classes.")
flags.DEFINE_string("fusion", None, "Of a file of PGL-SUM, whose shapes do not say.")
flags.DEFINE_string("position", None, "Likewise.")


def main(_):
    """Reads, prints what it found, writes; all of it is in `convert/rewrite.py`."""
    names = ("num_classes", "image_size", "features_only", "fusion", "position")
    options = {name: flags.FLAGS[name].value for name in names}
    options = {name: value for name, value in options.items() if value is not None}
    source, output = _SOURCE.value, _OUTPUT.value
    if not os.path.isdir(source):
        if _CHECKPOINT.present or _EMA.present:
            raise ValueError(
                f"{source} is no workdir: --checkpoint, --ema are of runs."
            )
        system = _SYSTEM.value or runs.find_system(source)
        rewrite.rewrite(system, source, output, to=_TO.value, **options)
        return
    if options:
        raise ValueError(f"{source} is a run: --{', --'.join(options)} are for files.")
    system = _SYSTEM.value or runs.find_system(source)
    averaged = {"averaged": True} if _EMA.value else {}
    run = COMMANDS[system].face().restore(source, _CHECKPOINT.value, **averaged)
    model = run.config.model
    print(f"{source}, step {run.step}: {rewrite.describe(system, model, run.params)}")
    if _TO.value == "ours":  # with the run's settings: it can stand for the workdir
        run_files.write_run(output, system, run)
        print(f"Written to {output}.")
    else:
        rewrite.write(system, output, model, run.params, run.state, to=_TO.value)


if __name__ == "__main__":
    config_flags.run(main)
