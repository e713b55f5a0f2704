"""The networks that come with the package, and those that are fetched by name."""

import itertools
from collections.abc import Sequence

from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.systems.named_networks import PUBLISHED, available
from gpsattn_jax.usage import Usage

USAGE = Usage(
    text="""\
Lists the networks that come with the package, and those that are fetched from
their authors when they are asked for; of one that comes along, shows its card:
data, protocol, figures, limits, licence.

  PROGRAM
  PROGRAM gsanet-digits

Commands take a name in the place of a run: --weights=gsanet-digits.""",
    words=("name",),
)


def run(argv: Sequence[str]) -> None:
    """Runs the command.

    Args:
        argv: the program, as typed, and its arguments.
    """
    flags.DEFINE_string("name", None, "Of the network whose card is shown.")
    config_flags.run(lambda _: _main(flags.FLAGS.name), USAGE, argv)


def _main(name):
    """Prints the list or a card."""
    if name is None:
        print("\n".join(_rows()))
        return
    if name in available():
        print(available()[name].path.with_suffix(".md").read_text().strip())
        return
    if name in PUBLISHED:
        raise ValueError(
            f"{name} is fetched from {PUBLISHED[name].remote.address}; its authors' "
            "page describes it."
        )
    near = config_flags.nearest(name, [*available(), *PUBLISHED])
    offer = f" Did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(f"name must be one of those that are listed; got {name!r}.{offer}")


def _rows():
    yield "With the package:"
    for network in available().values():
        yield f"  {network.name:<26}{network.size / 2**20:.1f} MiB, {network.task}"
        yield f"  {'':<26}{network.metric}: {network.value:.4g}"
    yield "Fetched when asked for:"
    alike = itertools.groupby(PUBLISHED, lambda name: _told(PUBLISHED[name]))
    for (task, accuracy), names in alike:
        yield from (f"  {name}" for name in names)
        yield f"  {'':<26}{task}"
        yield f"  {'':<26}as its authors give it: {accuracy}"


def _told(network):
    return network.task, network.accuracy
