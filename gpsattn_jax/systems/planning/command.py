"""The command line of a plan: a system's own flags, devices that may be absent."""

import functools
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.files import write_json
from gpsattn_jax.systems import JOURNEYS
from gpsattn_jax.systems.planning import text
from gpsattn_jax.systems.planning.fitting import fit_plan
from gpsattn_jax.systems.planning.plan import make_plan
from gpsattn_jax.systems.planning.programs import WHAT
from gpsattn_jax.systems.planning.topologies import open_topology
from gpsattn_jax.training.config import SHARDINGS, Machine
from gpsattn_jax.usage import Usage, page_asked_for

USAGE = Usage(
    text="""\
Plans a run on devices that need not be there: memory, work, bounds.

  PROGRAM transxnet --setup=imagenet --topology=v5e:4x4 --mesh=data:16
  PROGRAM pglsum --setup=tvsum --topology=v5e:2x2 --fit --json=plan.json
  PROGRAM gsanet --setup=digits --topology=cpu:8 --what=evaluate

TPUs need libtpu (`pip install 'gpsattn-jax[tpu]'`) and no TPU; cpu:8 needs
nothing.""",
    words=("system",),
    main=(
        "setup", "topology", "mesh", "sharding", "what", "fit", "memory", "json",
        "table", "train.batch_size", "train.precision",
    ),
)  # fmt: skip


def run(argv: Sequence[str]) -> None:
    """Runs the command: the flags of the system that it names, then plans.

    Args:
        argv: the program, as typed, and its arguments.
    """
    name = _system_named(argv)
    _define_flags(name)
    config_flags.run(lambda _: _main(name), USAGE, argv)


def _system_named(argv):
    """The system, before flags are parsed: it decides which flags there are."""
    known = ", ".join(JOURNEYS)
    if argv[1:] and argv[1] in JOURNEYS:
        return argv[1]
    for place, argument in enumerate(argv):
        match = re.fullmatch(r"--?system(?:=(.*))?", argument)
        if match:
            following = argv[place + 1] if place + 1 < len(argv) else ""
            name = following if match[1] is None else match[1]
            if name not in JOURNEYS:
                raise SystemExit(
                    f"Error: --system must be one of {known}; got {name!r}."
                )
            return name
    if page_asked_for(argv[1:]):
        return "gsanet"
    raise SystemExit(f"Error: --system is missing: one of {known}.")


def _define_flags(name):
    row = JOURNEYS[name]
    face = row.face()
    flags.DEFINE_enum(
        "system", None, sorted(JOURNEYS), "Whose run; its own flags are here, too."
    )
    flags.DEFINE_enum("setup", row.setup, sorted(face.SETUPS), "The run to start from.")
    flags.DEFINE_list(
        "topology", "v5e:2x2",
        "Devices, or several with commas: v5e:4x4, v6e:2x4, …; cpu:8 for pretended "
        "ones.",
    )  # fmt: skip
    flags.DEFINE_string(
        "mesh",
        "",
        "Axes and sizes, as data:8,model:2; all devices along data if empty.",
    )
    flags.DEFINE_enum("sharding", "tensor", SHARDINGS, "As in training.")
    flags.DEFINE_enum("what", "train", WHAT, "Which program: a step, or an evaluation.")
    flags.DEFINE_bool(
        "fit", False,
        "If it does not fit, try a smaller batch, remat and fsdp, in this order.",
    )  # fmt: skip
    flags.DEFINE_float(
        "memory", None, "GiB of a device, instead of the chip's.", lower_bound=0.0
    )
    flags.DEFINE_string("json", None, "A file for all of it, as JSON.")
    flags.DEFINE_string("hlo", None, "A file for the compiled program's text.")
    flags.DEFINE_bool("table", False, "Rows of a Markdown table, instead of the text.")
    flags.DEFINE_float(
        "lock_timeout", 600.0, "Seconds to wait for libtpu's lock.", lower_bound=0.0
    )
    for flag, default, help_text in (
        ("classes", None, "of actions; a known set's own, else 60."),
        ("persons", 1, "of a clip."),
        ("steps", 320, "of the longest video."),
    ):
        if flag in row.plan_flags:
            flags.DEFINE_integer(flag, default, f"Taken: {help_text}", lower_bound=1)
    config_flags.define(face.Config)


def _main(name):
    given, face = flags.FLAGS, JOURNEYS[name].face()
    config = config_flags.override(face.SETUPS[given.setup])
    own = {flag: given[flag].value for flag in JOURNEYS[name].plan_flags}
    make = functools.partial(face.programs, **own)
    title = f"{name} {given.setup}"
    plans = []
    if given.table:
        print(f"| {' | '.join(text.HEAD)} |\n|{' --- |' * len(text.HEAD)}", flush=True)
    for topology in given.topology:
        plan = _plan(make, config, topology)
        plans.append(plan)
        show = [text.row(plan, title)] if given.table else text.lines(plan, title)
        print("\n".join(show), flush=True)
        if given.json:  # each as it comes: the next one may take long
            write_json(given.json, [_as_json(plan, name) for plan in plans])


def _plan(make, config, topology):
    given = flags.FLAGS
    limit = None if given.memory is None else given.memory * 2**30
    if given.fit and limit is None and topology.startswith("cpu:"):
        raise ValueError(
            "fit must have a device's memory to compare with; for CPUs give --memory."
        )
    devices = open_topology(topology, given.lock_timeout)
    machine = Machine(mesh=given.mesh, sharding=given.sharding)
    options: dict[str, Any] = {"what": given.what, "limit": limit}
    if given.hlo:
        options["keep"] = pathlib.Path(given.hlo).write_text
    if not given.fit:
        return make_plan(make(config), devices, machine, **options)

    def say(line):
        print(line, file=sys.stderr, flush=True)

    return fit_plan(make, config, devices, machine, **options, say=say)


def _as_json(plan, name):
    return {"system": name, "setup": flags.FLAGS.setup} | plan.as_json()
