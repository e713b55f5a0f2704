"""A plan as people read it: lines, or a row of a table."""

from gpsattn_jax.systems.planning.plan import Plan

LARGEST = 12  # parameters with a line of their own
HEAVIEST = 8  # lines of code, by their traffic
UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
COUNTS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
HEAD = (
    "run", "devices", "mesh", "batch", "memory of a device", "GFLOP", "GB in HBM",
    "FLOP/byte", "bound", "collectives", "compiled in", "with",
)  # fmt: skip


def lines(plan: Plan, title: str) -> list[str]:
    """All that a plan says, line by line.

    Args:
        plan: a plan.
        title: of the run, "transxnet imagenet".
    """
    mesh = ",".join(f"{name}:{size}" for name, size in plan.mesh.items())
    found = [
        f"{title}: {plan.what} on {plan.topology}, mesh {mesh}, {plan.sharding}, "
        f"{plan.precision}, a batch of {plan.batch_size}"
        + "".join(f" {change}" for change in plan.changes),
        f"  JAX {plan.versions['jax']}, {plan.versions['compiler']}; traced in "
        f"{plan.lower_seconds:.0f} s, compiled in {plan.compile_seconds:.0f} s",
        f"  taken as given: {plan.assumed}",
        "",
    ]
    return found + _parameters(plan) + _memory(plan) + _costs(plan)


def row(plan: Plan, title: str) -> str:
    """A plan as a row of a Markdown table, of the columns `HEAD`."""
    mesh = ",".join(f"{name}:{size}" for name, size in plan.mesh.items())
    memory = f"{size_text(plan.memory.needed)}{_verdict(plan)}"
    cells = [f"{title}, {plan.what}", plan.topology, mesh, str(plan.batch_size), memory]
    if plan.costs is None:
        cells += ["-"] * 5
    else:
        traffic = plan.costs.memory
        bound = plan.bound
        cells += [
            f"{plan.costs.flops / 1e9:,.1f}",
            f"{traffic / 1e9:,.2f}",
            f"{plan.costs.flops / max(traffic, 1):,.1f}",
            f"{bound.by}, {time_text(bound.seconds)}" if bound else "-",
            _collectives_text(plan) or "none",
        ]
    versions = f"JAX {plan.versions['jax']}, {plan.versions['compiler']}"
    cells += [time_text(plan.compile_seconds), versions]
    return f"| {' | '.join(cells)} |"


def size_text(size: float) -> str:
    """Bytes: "1.25 GiB"."""
    for unit, name in UNITS:
        if size >= unit:
            return f"{size / unit:.2f} {name}"
    return f"{size:.0f} B"


def count_text(count: float) -> str:
    """A large number: "1.43 T"."""
    for unit, name in COUNTS:
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return f"{count:.0f} "


def time_text(seconds: float) -> str:
    """A time: "2.5 ms"; minutes from two of them on."""
    if seconds >= 120:
        return f"{seconds / 60:.1f} min"
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.3g} ms"


def _parameters(plan):
    largest, rest = plan.parameters[:LARGEST], plan.parameters[LARGEST:]
    found = [f"Parameters, {size_text(sum(p.size for p in plan.parameters))} a device:"]
    width = max(len(parameter.name) for parameter in largest)
    for parameter in largest:
        shape = " x ".join(map(str, parameter.shape)) or "1"
        found.append(
            f"  {parameter.name:<{width}}  {size_text(parameter.size):>11}  "
            f"[{shape}]  {parameter.spec}"
        )
    if rest:
        total = size_text(sum(parameter.size for parameter in rest))
        found.append(f"  {f'{len(rest)} others':<{width}}  {total:>11}")
    if plan.what == "train":
        found.append(f"Optimizer: {size_text(plan.optimizer)} a device")
    if plan.averages:
        found.append(f"Statistics and averages: {size_text(plan.averages)} a device")
    return [*found, ""]


def _memory(plan):
    memory = plan.memory
    if plan.costs is None:
        found = [
            f"Memory: {size_text(memory.needed)} wanted of {size_text(memory.limit)}; "
            "XLA refused the program"
        ]
    else:
        parts = (
            f"  {name:<12}{size_text(size):>12}"
            for name, size in (
                ("arguments", memory.arguments),
                ("outputs", memory.outputs),
                ("temporaries", memory.temporaries),
                ("program", memory.program),
                ("together", memory.needed),
            )
        )
        found = ["Memory of a device (outputs beside those in arguments' places):"]
        found += parts
    if memory.fits:
        found.append(f"It fits: the device has {size_text(memory.limit)}.")
    elif memory.fits is False:
        found += [
            f"It does not fit: the device has {size_text(memory.limit)}. Less takes, "
            "in this order: a smaller --train.batch_size (or as many parts, "
            "--train.accumulate), --model.remat, --sharding=fsdp; --fit tries them."
        ]
    return [*found, ""]


def _costs(plan):
    if plan.costs is None:
        return []
    costs, once = plan.costs, plan.loops_once
    found = [
        f"Work of a device: {count_text(costs.flops)}FLOP in matmuls, "
        f"{count_text(costs.accessed)}B accessed, {count_text(costs.memory)}B of it in "
        f"its memory: {costs.flops / max(costs.memory, 1):.1f} FLOP a byte",
        f"  {len(plan.loops)} loops, by their trips; XLA itself, loops once: "
        f"{count_text(once['flops'])}FLOP, {count_text(once['accessed'])}B accessed",
    ]
    bound = plan.bound
    if bound is not None:
        rate = plan.batch_size / bound.seconds
        found += [
            f"Bound by {bound.by}: {time_text(bound.seconds)} at the least, "
            f"{rate:,.0f} examples/s (compute {time_text(bound.compute)}, memory "
            f"{time_text(bound.memory)}, links {time_text(bound.links)})"
        ]
    exchanged = _collectives_text(plan)
    found += [f"Collectives: {exchanged or 'none'}", "", "Most traffic:"]
    for source in plan.sources[:HEAVIEST]:
        share = source.memory / max(costs.memory, 1)
        traffic = count_text(source.memory)
        found.append(f"  {share:6.1%} {traffic:>9}B  {source.line}")
    return found


def _collectives_text(plan):
    return ", ".join(
        f"{found.count} {kind} of {size_text(found.size)}"
        for kind, found in plan.collectives.items()
    )


def _verdict(plan):
    return {None: "", True: ", fits", False: ", does not fit"}[plan.memory.fits]
