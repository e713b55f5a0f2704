"""Runs planned on pretended devices: all four systems, what is counted, bad input."""

import dataclasses
import functools
import json
import os
import pathlib
import subprocess
import sys
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import config_flags
from gpsattn_jax.flops import count_in
from gpsattn_jax.platforms import traced_for
from gpsattn_jax.systems import SYSTEMS, gsanet
from gpsattn_jax.systems.planning import fitting, hlo, plan, topologies
from gpsattn_jax.systems.planning.bounds import find_bound
from gpsattn_jax.systems.planning.chips import CHIPS
from gpsattn_jax.systems.planning.costs import (
    Collective,
    Costs,
    count_collectives,
    count_costs,
)
from gpsattn_jax.systems.planning.fitting import choices
from gpsattn_jax.training.config import Machine
from gpsattn_jax.training.optimizers import make_optimizer
from gpsattn_jax.training.state import init_state
from gpsattn_jax.training.step import train_step
from tests.scripts import run_script

ROOT = pathlib.Path(__file__).parents[2]
DEVICES = 8
# The smallest of each; GPS-Net and TransXNet scan alike blocks.
TINY = {
    "gpsnet": (
        "--setup=ntu", "--model.widths=8,8,8", "--model.strides=1,1,1",
        "--model.num_heads=2", "--data.num_frames=8", "--train.batch_size=16",
        "--persons=2", "--classes=5", "--train.accumulate=2",
    ),
    "gsanet": (
        "--setup=digits", "--model.layers=1", "--model.widths=8", "--model.mixers=gsa",
        "--train.batch_size=16", "--train.ema_decay=0.9",
    ),
    "pglsum": (
        "--setup=summe", "--model.input_size=32", "--train.batch_size=8", "--steps=30",
    ),
    "transxnet": (
        "--setup=imagenette_64px", "--model.image_size=16", "--model.depths=2",
        "--model.widths=8", "--model.num_heads=1", "--model.num_groups=2",
        "--model.kernel_sizes=3", "--model.reductions=1", "--model.mlp_ratios=1",
        "--model.remat=True", "--train.batch_size=8", "--train.precision=bfloat16",
    ),
}  # fmt: skip
PROGRAM = """
import json, sys
from tests.scripts import run_script

results = {}
for name, arguments in json.loads(sys.argv[1]).items():
    results[name] = run_script("plan", *arguments)
print(json.dumps(results))
"""


@pytest.fixture(autouse=True)
def own_environment():
    """A plan sets variables for libtpu, which other tests would take for a TPU's."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """{name: (exit code, output, errors, the plan's JSON)}, from one process."""
    folder = tmp_path_factory.mktemp("plans")
    runs = {name: (f"--system={name}", *flags) for name, flags in TINY.items()}
    tiny = ("--system=gsanet", *TINY["gsanet"])
    runs |= {
        "evaluate": (*tiny, "--what=evaluate"),
        "fsdp": (*tiny, "--sharding=fsdp"),
        "table": (*tiny, "--table", "--fit", "--memory=16"),
        "beyond": (*tiny, "--mesh=data:4"),
        "indivisible": (*tiny, "--train.batch_size=12"),
        "no_memory": (*tiny, "--fit"),
        "many": (*tiny, "--topology=cpu:9"),
    }
    runs = {
        name: (f"--topology=cpu:{DEVICES}", *flags, f"--json={folder / name}.json")
        for name, flags in runs.items()
    }
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
        "XLA_FLAGS": "",
    }
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(runs)],
        capture_output=True, text=True, env=environment, timeout=900,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found = {}
    for name, result in json.loads(process.stdout.splitlines()[-1]).items():
        path = folder / f"{name}.json"
        written = json.loads(path.read_text())[0] if path.exists() else None
        found[name] = types.SimpleNamespace(
            code=result[0], out=result[1], err=result[2], plan=written
        )
    return found


def size_of(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def tiny_programs(system):
    """The same run in this process."""
    face = SYSTEMS[system].face()
    values = dict(flag.lstrip("-").split("=") for flag in TINY[system])
    setup = face.SETUPS[values.pop("setup")]
    given = {k: int(values.pop(k)) for k in SYSTEMS[system].plan_flags if k in values}
    parsers = {name: kind for name, kind, _ in config_flags._fields(face.Config)}
    changes: dict = {}
    for name, text in values.items():
        part, field = name.split(".")
        parser = config_flags._FieldParser(parsers[name])
        changes.setdefault(part, {})[field] = parser.parse(text)
    parts = {
        part: dataclasses.replace(getattr(setup, part), **fields)
        for part, fields in changes.items()
    }
    return face.programs(dataclasses.replace(setup, **parts), **given)


@pytest.mark.parametrize("system", TINY)
def test_a_system_s_training_is_planned(planned, system):
    found = planned[system]
    assert found.code == 0, found.err
    plan, programs = found.plan, tiny_programs(system)
    assert plan["system"] == system and plan["topology"] == f"cpu:{DEVICES}"
    assert plan["mesh"] == {"data": DEVICES} and plan["what"] == "train"
    params, state = programs.network.shapes()
    assert plan["parameter_bytes"] == size_of(params)
    sizes = [parameter["size"] for parameter in plan["parameters"]]
    assert sizes == sorted(sizes, reverse=True)
    optimizer = make_optimizer(programs.config.train, programs.layers)
    assert plan["optimizer"] == size_of(jax.eval_shape(optimizer.init, params))
    memory = plan["memory"]
    averages = size_of((params, state)) if system == "gsanet" else 0
    assert plan["averages"] == size_of(state) + averages
    held = plan["parameter_bytes"] + plan["optimizer"] + plan["averages"]
    assert held < memory["arguments"] < held + 50_000
    parts = ("arguments", "outputs", "temporaries", "program")
    assert memory["needed"] == sum(memory[part] for part in parts)
    assert memory["fits"] is None and plan["bound"] is None
    assert plan["compile_seconds"] > 0 and plan["versions"]["jax"] == jax.__version__
    assert plan["assumed"] in found.out
    assert f"Parameters, {plan['parameter_bytes'] / 1024:.2f} KiB a device" in found.out


# TransXNet's depthwise products are chosen by platform: its trace holds all forms.
@pytest.mark.parametrize("system", ["gpsnet", "gsanet", "pglsum"])
def test_work_is_what_the_step_asks_for(planned, system):
    """Multiply-adds of all devices are the traced step's, loops by their trips."""
    plan, programs = planned[system].plan, tiny_programs(system)
    config = programs.config.train
    batch = programs.batch(config.batch_size)
    if programs.augment is not None:
        key = jax.eval_shape(lambda: jax.random.key(0))
        batch = jax.eval_shape(programs.augment, batch, key)
    optimizer = make_optimizer(config, programs.layers)
    state = jax.eval_shape(
        functools.partial(init_state, programs.network, optimizer),
        jax.eval_shape(lambda: jax.random.key(0)),
    )
    step = functools.partial(
        train_step, network=programs.network, loss=programs.loss,
        optimizer=optimizer, config=config,
    )  # fmt: skip
    traced = jax.make_jaxpr(step)(state, batch, jax.random.key(0))
    # XLA leaves out products with one term, and what nothing needs.
    assert plan["costs"]["flops"] * DEVICES == pytest.approx(count_in(traced), rel=0.1)
    assert plan["costs"]["accessed"] >= plan["loops_once"]["accessed"] * 0.8


def test_traffic_is_told_by_line_of_code(planned):
    found = planned["pglsum"]
    lines = [source["line"] for source in found.plan["sources"]]
    assert any("modules/positional_attention.py" in line for line in lines)
    assert any(line.endswith(", gradient") for line in lines)
    sizes = [source["memory"] for source in found.plan["sources"]]
    assert sizes == sorted(sizes, reverse=True)
    total = found.plan["costs"]["memory"]
    assert total / 2 < sum(sizes) <= total
    assert lines[0] in found.out


def test_parts_of_a_batch_count_by_the_loop_s_trips(planned):
    assert 2 in planned["gpsnet"].plan["loops"]  # train.accumulate


def test_gradients_are_summed_over_the_devices(planned):
    for system in TINY:
        plan = planned[system].plan
        sizes = plan["collectives"]["all-reduce"]
        assert sizes["count"] > 0
        assert sizes["size"] >= plan["parameter_bytes"] / 2
        share = (DEVICES - 1) / DEVICES
        assert sizes["moved"] == pytest.approx(2 * share * sizes["size"])


def test_an_evaluation_holds_no_optimizer(planned):
    found = planned["evaluate"]
    assert found.code == 0, found.err
    assert found.plan["optimizer"] == 0 and found.plan["batch_size"] == 256
    assert found.plan["precision"] == "float32"
    less = planned["gsanet"].plan["costs"]["flops"] / 16
    assert found.plan["costs"]["flops"] / 256 < less / 2


def test_fsdp_splits_what_a_device_holds(planned):
    whole, split = planned["gsanet"].plan, planned["fsdp"].plan
    assert split["parameter_bytes"] < whole["parameter_bytes"] / 3
    assert split["optimizer"] < whole["optimizer"] / 3
    assert split["memory"]["arguments"] < whole["memory"]["arguments"] / 2
    largest = split["parameters"][0]
    assert "data" in largest["spec"] or largest["size"] < 2000
    assert "all-gather" in split["collectives"]


@pytest.mark.parametrize(
    ("needs", "count"), [(1.0, 1), (0.5, 2), (0.25, 3), (0.125, 4), (0.01, 5)]
)
def test_what_does_not_fit_is_tried_otherwise_in_order(monkeypatch, needs, count):
    """Until one fits; the last one is told where none does."""
    setup = SYSTEMS["gsanet"].face().SETUPS["digits"]
    order = [(), ("--train.batch_size=16",), ("--model.remat",), ("--sharding=fsdp",)]
    order.append(("--model.remat", "--sharding=fsdp"))
    made, said = [], []

    def make_plan(config, devices, machine, *, what, limit, changes=()):
        made.append(changes)
        assert (config.train.batch_size == 16) == (changes == order[1])
        assert config.model.remat == ("--model.remat" in changes)
        assert (machine.sharding == "fsdp") == ("--sharding=fsdp" in changes)
        memory = plan.Memory(0, 0, 0, 0, limit, needed=2.0 ** (30 - len(made)))
        return types.SimpleNamespace(
            memory=memory, changes=changes, mesh={"data": 16}, what=what
        )

    monkeypatch.setattr(fitting, "make_plan", make_plan)
    fitting.fit_plan(
        lambda config: config, setup, None, Machine(), what="train",
        limit=needs * 2**29, say=said.append,
    )  # fmt: skip
    assert made == order[:count] and len(said) == count - 1
    assert all("needs" in line and "GiB" in line for line in said)


def test_choices_begin_with_the_batch():
    setup = SYSTEMS["transxnet"].face().SETUPS["imagenet"]
    flags = [change for _, _, change in choices(setup, Machine(), "train", 256)]
    remat = "--model.remat=True,True,True,True"
    assert flags == [
        ("--train.batch_size=512",), ("--train.batch_size=256",), (remat,),
        ("--sharding=fsdp",), (remat, "--sharding=fsdp"),
    ]  # fmt: skip
    split = Machine(sharding="fsdp")
    assert not list(choices(setup, split, "evaluate", 256))


def test_a_row_of_a_table_has_a_cell_for_each_column(planned):
    head, dashes, row = planned["table"].out.strip().splitlines()
    assert head.count("|") == dashes.count("|") == row.count("|") == 13
    assert "| gsanet digits, train | cpu:8 | data:8 | 16 |" in row and ", fits |" in row
    assert f"JAX {jax.__version__}" in row


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "beyond",
            "mesh must have as many places as there are devices, 8; got 'data:4'",
        ),
        (
            "indivisible",
            "train.batch_size must be a multiple of the 8 devices along data; got 12",
        ),
        (
            "no_memory",
            "fit must have a device's memory to compare with; for CPUs give --memory",
        ),
        (
            "many",
            "topology=cpu:9 must be opened before JAX starts, or with XLA_FLAGS="
            "--xla_force_host_platform_device_count=9; JAX has 8",
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line(planned, name, line):
    found = planned[name]
    assert found.code == 1 and found.err.strip() == f"Error: {line}."
    assert found.plan is None and found.out == ""


def plan_here(*arguments):
    code, out, err = run_script("plan", "--system=gsanet", *arguments)
    return code, out, err.strip()


@pytest.mark.parametrize("name", ["v9:2x2", "v5e", "v5e:2", "cpu:0", "cpu:2x2", "a b"])
def test_an_unknown_topology_names_the_known(name):
    code, _, err = plan_here(f"--topology={name}")
    assert code == 1 and "\n" not in err
    assert err.startswith("Error: topology must be one of cpu:8; v5e:2x2, v5e:4x4, v6e")
    assert err.endswith(f"got '{name}'.")


def test_a_slice_that_libtpu_refuses_is_one_line(monkeypatch):
    def refuse(**_):
        raise jax.errors.JaxRuntimeError("INVALID_ARGUMENT:\n v5e:3x5 does not divide")

    monkeypatch.setattr(topologies.importlib.util, "find_spec", lambda _: "there")
    monkeypatch.setattr(topologies.topologies, "get_topology_desc", refuse)
    code, _, err = plan_here("--topology=v5e:3x5")
    assert code == 1 and "\n" not in err
    assert "topology must be one of" in err and "v5e:3x5 does not divide" in err


def test_without_libtpu_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(topologies.importlib.util, "find_spec", lambda _: None)
    code, _, err = plan_here("--topology=v5e:2x2")
    assert code == 1
    assert err == (
        "Error: topology=v5e:2x2 needs libtpu: pip install 'gpsattn-jax[tpu]'; "
        "topology=cpu:8 does without."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--system is missing: one of gpsnet, gsanet, pglsum, transxnet, segm"),
        (("--system=resnet",), "transxnet, segmentation; got 'resnet'."),
        (("--system=gsanet", "--steps=3"), "Unknown command line flag 'steps'"),
        (("--system", "gsanet", "--setup=x"), "value should be one of <cifar100|"),
        (("--system=gsanet", "--mesh=x", "--topology=cpu:1"), "mesh must be NAME:SIZE"),
    ],
)  # fmt: skip
def test_wrong_flags_are_answered_in_a_line(arguments, message):
    code, _, err = run_script("plan", *arguments)
    assert code == 1 and message in err and "Traceback" not in err


LOCKED = 'ABORTED: Internal error when accessing libtpu multi-process lockfile. Run "x"'


@pytest.fixture
def slice_of_four(monkeypatch):
    """libtpu as it is met: its lock is held for so many looks."""
    looks = []

    def describe(platform, topology_name):
        looks.append(topology_name)
        if len(looks) <= describe.held:
            raise jax.errors.JaxRuntimeError(LOCKED)
        return types.SimpleNamespace(devices=["chip"] * 4)

    monkeypatch.setattr(topologies.topologies, "get_topology_desc", describe)
    monkeypatch.setattr(topologies.importlib.util, "find_spec", lambda _: "there")
    monkeypatch.setattr(topologies.importlib.metadata, "version", lambda _: "0.0.41")
    monkeypatch.setattr(topologies, "PAUSE", 0.01)
    for name in topologies.ABSENT:
        monkeypatch.setenv(name, "set")
    describe.looks = looks
    return describe


def test_the_lock_is_waited_for_and_the_wait_announced(slice_of_four, capsys):
    slice_of_four.held = 3
    found = topologies.open_topology("v5e:2x2")
    assert len(slice_of_four.looks) == 4 and len(found.devices) == 4
    assert found.chip == CHIPS["v5e"] and found.share == 1
    assert found.compiler == "libtpu 0.0.41"
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and said[0].startswith("Waiting for libtpu's lock")


def test_a_v4_chip_is_two_devices(slice_of_four):
    slice_of_four.held = 0
    assert topologies.open_topology("v4:2x1x1").share == 0.5


def test_a_lock_that_stays_held_is_one_line(slice_of_four):
    slice_of_four.held = 1000
    code, _, err = plan_here("--topology=v5e:2x2", "--lock_timeout=0.05")
    assert code == 1
    assert err.splitlines()[-1].startswith(
        "Error: topology=v5e:2x2: another process has held libtpu's lock "
        "(/tmp/libtpu_lockfile) for 0 s, --lock_timeout"
    )


def test_a_program_that_xla_refuses_does_not_fit(monkeypatch):
    """A TPU's compiler says how much it wanted instead of giving a program."""

    class Refused:
        def compile(self):
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of "
                "memory in memory space hbm. Used 20.00G of 15.75G hbm. Exceeded hbm."
            )

    compiled, memory = plan._compile(Refused())
    assert compiled is None and memory.fits is False
    assert memory.needed == 20 * 2**30 and memory.limit == 15.75 * 2**30


# Programs whose costs are known.


def test_a_loop_s_matmuls_count_by_its_trips():
    def repeat(x, weights):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0]

    x, weights = jnp.ones((16, 32)), jnp.ones((5, 32, 32))
    compiled = jax.jit(repeat).lower(x, weights).compile()
    program = hlo.parse(compiled.as_text())
    assert program.loops == [5]
    once = 2 * 16 * 32 * 32
    assert count_costs(program).flops == 5 * once
    assert count_costs(program, loops=False).flops == once
    # Each trip reads its own matrix alone, not the whole stack.
    accessed = count_costs(program).accessed
    assert 5 * 32 * 32 * 4 < accessed < 5 * 6 * 32 * 32 * 4


def test_bytes_are_xla_s_where_nothing_loops():
    def layer(x, w):
        return jax.nn.softmax(jax.nn.relu(x @ w) @ w.T)

    shapes = jnp.ones((64, 128)), jnp.ones((128, 256))
    compiled = jax.jit(layer).lower(*shapes).compile()
    costs = count_costs(hlo.parse(compiled.as_text()))
    expected = compiled.cost_analysis()["bytes accessed"]
    assert costs.accessed == costs.memory == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("stride", "padding"), [(1, "SAME"), (2, "SAME"), (1, "VALID")]
)
def test_a_convolution_s_padding_is_no_work(stride, padding):
    x, filters = np.ones((2, 7, 7, 3)), np.ones((3, 3, 3, 4))

    def convolve(x, filters):
        return jax.lax.conv_general_dilated(
            x, filters, (stride, stride), padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )  # fmt: skip

    compiled = jax.jit(convolve).lower(x, filters).compile()
    # Ones all over: each result is the number of its terms.
    terms = convolve(jnp.asarray(x), jnp.asarray(filters)).sum()
    flops = count_costs(hlo.parse(compiled.as_text())).flops
    assert flops == pytest.approx(2 * float(terms))


TPU_TEXT = """HloModule jit_step, is_scheduled=true

%body (p: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %p = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)S(1)}) parameter(0)
  %n = s32[]{:T(128)} get-tuple-element(%p), index=0
  %x = f32[8,128]{1,0:T(8,128)S(1)} get-tuple-element(%p), index=1
  %all-reduce.1 = f32[8,128]{1,0:T(8,128)S(1)} all-reduce(%x), replica_groups=mesh['a'=4,'b'=2] {'a'}, to_apply=%add
  ROOT %t = (s32[]{:T(128)}, /*index=1*/f32[8,128]{1,0:T(8,128)S(1)}) tuple(%n, %all-reduce.1)
}

%condition (q: (s32[], f32[8,128])) -> pred[] {
  %limit = s32[]{:T(128)} constant(12)
  %q = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)S(1)}) parameter(0)
  %m = s32[]{:T(128)} get-tuple-element(%q), index=0
  ROOT %lt = pred[]{:T(512)} compare(%m, %limit), direction=LT
}

ENTRY %main (a: bf16[5,4,80,64], b: bf16[5,4,80,64]) -> f32[5,4,80,80] {
  %a = bf16[5,4,80,64]{3,2,1,0:T(8,128)(2,1)} parameter(0)
  %b = bf16[5,4,80,64]{3,2,1,0:T(8,128)(2,1)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  %start = f32[8,128]{1,0:T(8,128)S(1)} broadcast(%zero), dimensions={}
  %tuple.1 = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)S(1)}) tuple(%zero, %start)
  %while.1 = (s32[]{:T(128)}, f32[8,128]{1,0:T(8,128)S(1)}) while(%tuple.1), condition=%condition, body=%body
  ROOT %scores = f32[5,4,80,80]{3,2,1,0:T(8,128)} convolution(%a, %b), window={size=5x4 stride=4x3 lhs_dilate=5x4}, dim_labels=01bf_01oi->01bf
}
"""  # noqa: E501


def test_a_tpu_s_text_is_read():
    """Trips stand in the condition, a batched matmul is a dilated convolution, rows
    are filled up to 128, and what is in vector memory, S(1), is no traffic of HBM."""
    program = hlo.parse(TPU_TEXT)
    assert program.loops == [12]
    costs = count_costs(program)
    assert costs.flops == 2 * 5 * 4 * 80 * 80 * 64
    product = 2 * 5 * 4 * 80 * 128 * 2 + 5 * 4 * 80 * 128 * 4
    assert costs.memory == product + 4  # and the zero that is broadcast
    assert costs.accessed == costs.memory + 8 * 128 * 4 * (1 + 12 * 2)
    (kind, found), *others = count_collectives(program, 8).items()
    assert kind == "all-reduce" and not others
    size = 12 * 8 * 128 * 4
    assert found == Collective(12, size, pytest.approx(size * 2 * 3 / 4))


@pytest.mark.parametrize(
    ("layout", "padded"),
    [
        ("{2,1,0}", 6 * 14 * 32),
        ("{2,1,0:T(8,128)(2,1)}", 6 * 16 * 128),
        ("{0,2,1:T(8,128)S(1)}", 14 * 32 * 128),
        ("{1,0,2:T(256)}", 6 * 256 * 32),
    ],
)
def test_a_tile_s_padding_is_counted(layout, padded):
    text = TPU_TEXT.replace(
        "bf16[5,4,80,64]{3,2,1,0:T(8,128)(2,1)}", "bf16[6,14,32]" + layout
    )
    array = hlo.parse(text).computations["main"][0].results[0]
    assert array.size == 6 * 14 * 32 * 2 and array.padded == padded * 2


GROUPS = """HloModule m

ENTRY %main (a: f32[8,4]) -> f32[16,4] {
  %a = f32[8,4]{1,0} parameter(0)
  %s = (f32[8,4]{1,0}, f32[16,4]{1,0}) all-gather-start(%a), replica_groups={{0,1}}
  %d = f32[16,4]{1,0} all-gather-done(%s)
  %r = f32[2,4]{1,0} reduce-scatter(%a), replica_groups=[2,4]<=[8], to_apply=%add
  %p = f32[8,4]{1,0} collective-permute(%a), source_target_pairs={{0,1}}
  ROOT %e = f32[16,4]{1,0} copy(%d)
}
"""


def test_collectives_count_what_a_device_gives_away():
    found = count_collectives(hlo.parse(GROUPS), 8)
    assert found == {
        "all-gather": Collective(1, 256, 128.0),
        "reduce-scatter": Collective(1, 128, 96.0),
        "collective-permute": Collective(1, 128, 128.0),
    }


def test_the_bound_is_the_longest_part():
    chip = topologies.Topology("v5e:2x2", (), CHIPS["v5e"], 1.0, "libtpu")
    costs = Costs(flops=197e12, accessed=0, memory=819e9 * 2)
    exchange = {"all-reduce": Collective(1, 0, 200e9 * 0.5)}
    bound = find_bound(costs, exchange, chip)
    assert (bound.compute, bound.memory, bound.links) == (1, 2, 0.5)
    assert bound.by == "memory" and bound.seconds == 2
    half = dataclasses.replace(chip, share=0.5)
    assert find_bound(costs, exchange, half).seconds == 4


def test_evaluation_for_a_tpu_is_not_grouped_as_on_this_cpu():
    """A GSA network asks what it is compiled for, not where it is compiled."""
    config = dataclasses.replace(
        gsanet.SETUPS["digits"].model, layers=(1,), widths=(32,), mixers=("gsa",),
        num_heads=8, image_size=32,
    )  # fmt: skip
    network = SYSTEMS["gsanet"].face().SYSTEM.build(config)
    images = jax.ShapeDtypeStruct((64, 32, 32, 1), jnp.float32)

    def forward(params, state, images):
        return network.apply(params, state, images=images)[0]

    def loops(platform):
        with traced_for(platform):
            traced = jax.jit(lambda *a: forward(*a)).trace(*network.shapes(), images)
        return str(traced.jaxpr).count("scan[")

    assert loops("cpu") == 1 and loops("gpu") == 0
