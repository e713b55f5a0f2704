"""The prepared run on an accelerator: resumes, goes on after errors, worst first."""

import json
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import pytest
from absl import flags

from benchmarks.accelerator import card, kernels, parity, session, table
from benchmarks.accelerator import rows as all_rows
from benchmarks.accelerator.rows import LeftOut, Row
from gpsattn_jax import launch

KINDS = (
    "TransXNet", "GSA-ResNet", "GPS-Net", "PGL-SUM", "depthwise", "attend_blocked",
    "RandAugment", "parity", "beside PyTorch",
)  # fmt: skip
TIMES = {"ms": {"ours": 2.0, "theirs": 3.0}, "without": {}}


class Calls:
    """Rows that note that they were measured."""

    def __init__(self):
        self.made = []

    def row(self, name, figures, takes=1.0, code=()):
        def measure(seconds):
            self.made.append(name)
            if isinstance(figures, BaseException):
                raise figures
            return dict(figures)

        return Row(name, measure, code, takes)


@pytest.fixture
def calls():
    return Calls()


def run(rows, path, *, minutes=1.0, fresh=False, tiny=False):
    current = session.Session(rows, path, tiny)
    current.resume(fresh)
    current.run(minutes)
    return current


def states(path):
    return {row["name"]: row["state"] for row in json.loads(path.read_text())["rows"]}


def test_what_fails_is_told_and_the_others_go_on(calls, tmp_path):
    path = tmp_path / "card.json"
    error = RuntimeError("RESOURCE_EXHAUSTED: out of\nmemory | " + "x" * 500)
    rows = [
        calls.row("first", TIMES),
        calls.row("large", error),
        calls.row("lacking", LeftOut("no torch")),
        calls.row("last", TIMES),
    ]
    run(rows, path)
    assert states(path) == {
        "first": "done", "large": "failed", "lacking": "left out", "last": "done"
    }  # fmt: skip
    found = json.loads(path.read_text())["rows"]
    reasons = {row["name"]: row.get("reason") for row in found}
    assert reasons["large"].startswith(
        "RuntimeError: RESOURCE_EXHAUSTED: out of memory"
    )
    assert "\n" not in reasons["large"] and len(reasons["large"]) < 330
    lines = path.with_suffix(".md").read_text().splitlines()
    assert "| lacking | left out: no torch | - | - | - | - |" in lines
    ours = [line for line in lines if line.startswith("| ")]
    assert all(line.count("|") == len(table.HEAD) + 1 for line in ours)


def test_a_second_run_measures_what_is_not_done_and_failures_last(calls, tmp_path):
    path = tmp_path / "card.json"
    rows = [
        calls.row("good", TIMES),
        calls.row("bad", ValueError("no")),
        calls.row("long", TIMES, takes=3600.0),
        calls.row("short", TIMES),
    ]
    run(rows, path)
    assert calls.made == ["good", "bad", "short"]
    assert states(path)["long"] == "not reached"
    before = json.loads(path.read_text())
    calls.made.clear()
    run([*rows[:2], calls.row("long", TIMES), rows[3]], path)
    assert calls.made == ["long", "bad"]
    after = {row["name"]: row for row in json.loads(path.read_text())["rows"]}
    assert all(
        row == after[row["name"]] for row in before["rows"] if row["state"] == "done"
    )
    calls.made.clear()
    run(rows, path, fresh=True)
    assert calls.made == ["good", "bad", "short"]
    assert states(tmp_path / "card-earlier.json")["long"] == "done"


def test_no_row_begins_after_its_minutes(calls, tmp_path):
    path = tmp_path / "card.json"
    run([calls.row("one", TIMES)], path, minutes=0.0)
    run([calls.row("one", TIMES)], path, minutes=0.0, tiny=True)
    assert not calls.made and states(path) == {"one": "not reached"}


def test_other_code_or_versions_are_measured_again(calls, tmp_path, monkeypatch):
    path = tmp_path / "card.json"
    one, other = calls.row("one", TIMES), calls.row("other", TIMES)
    run([one, other], path)
    changed = calls.row("one", TIMES, code=("steps.py",))
    calls.made.clear()
    run([changed, other], path)
    assert calls.made == ["one"]
    calls.made.clear()
    monkeypatch.setattr(card, "versions", lambda: {"jax": "another"})
    run([changed, other], path)
    assert calls.made == ["one", "other"]
    assert (tmp_path / "card-earlier.json").exists()


def test_ctrl_c_leaves_a_file_that_goes_on(calls, tmp_path):
    path = tmp_path / "card.json"
    rows = [
        calls.row("one", TIMES),
        calls.row("two", KeyboardInterrupt()),
        calls.row("three", TIMES),
    ]
    with pytest.raises(KeyboardInterrupt):
        run(rows, path)
    assert states(path) == {"one": "done", "two": "not reached", "three": "not reached"}
    calls.made.clear()
    run([rows[0], calls.row("two", TIMES), rows[2]], path)
    assert calls.made == ["two", "three"]


def test_a_row_that_ended_the_process_comes_last(calls, tmp_path):
    path = tmp_path / "card.json"
    rows = [calls.row("crash", TIMES), calls.row("good", TIMES)]
    current = session.Session(rows, path)
    current.resume(False)
    current.record(rows[0], "started")  # and the driver takes the process with it
    current.write()
    assert states(path)["crash"] == "started"
    run(rows, path)
    assert calls.made == ["good", "crash"]


def test_a_file_of_another_kind_is_named(calls, tmp_path):
    path = tmp_path / "card.json"
    for text in ("{", "[]", '{"rows": [{}]}', '{"rows": 3}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"card\.json must be what an earlier run"):
            run([calls.row("one", TIMES)], path)
    assert not calls.made


def test_the_worst_stands_first():
    def row(name, state="done", **figures):
        return {"name": name, "state": state, **figures}

    def parity_row(name, error):
        return row(name, **parity.judged({"output": error}))

    rate = {"count": 8, "unit": "images", "ms": {"ours": 1.0}}
    rows = [
        row("not begun", "not reached"),
        row("no torch", "left out", reason="no torch"),
        parity_row("right", 1e-7),
        row("twice as fast", ms={"ours": 1.0, "a": 2.0, "b": 9.0}),
        row("card: copy", ms={"ours": 1.0}, bytes=1, per_second=1e12),
        row("card: matmul", ms={"ours": 1.0}, flops=1, per_second=1e14),
        # 0.02 of one roof, 0.6 of the other: 0.6 counts.
        row("bandwidth bound", **rate, flops=2e9, bytes=6e8),
        row("a tenth", **rate, flops=1e10, bytes=1e6),
        row("half as fast", ms={"ours": 2.0, "a": 1.0}),
        row("error", "failed", reason="RuntimeError"),
        parity_row("wrong", 1e-3),
        parity_row("not a number", float("nan")),
    ]
    assert [found["name"] for found in table.worst_first(rows)] == [
        "not a number", "wrong", "error", "a tenth", "half as fast", "bandwidth bound",
        "twice as fast", "right", "card: copy", "card: matmul", "no torch", "not begun",
    ]  # fmt: skip
    peaks = table.roofs(rows)
    cells = {found["name"]: table.cells(found, peaks) for found in rows}
    assert cells["a tenth"][1:4] == ("8,000 images/s (1 ms)", "10.0", "0.1")
    assert "not finite" in cells["not a number"][1]
    assert "BEYOND ITS LIMIT: output 1.0e-03 (limit 2e-05)" in cells["wrong"][1]


def test_what_is_missing_is_told_in_a_line(monkeypatch, tmp_path):
    def starts(backend):
        monkeypatch.setattr(jax, "default_backend", backend)
        return card.lacking(cpu_will_do=False)

    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert starts(lambda: "gpu") == ""
    assert card.lacking(cpu_will_do=True) == ""
    monkeypatch.setattr(launch, "DEVICES", (str(tmp_path / "nvidia0"),))
    assert starts(lambda: "cpu").startswith("This machine has no accelerator; --tiny")
    (tmp_path / "nvidia0").touch()
    assert f'install "jax[cuda13]=={jax.__version__}"' in starts(lambda: "cpu")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert "JAX_PLATFORMS=cpu keeps JAX" in starts(lambda: "cpu")

    def fails():
        raise RuntimeError("Unknown backend:\n'cuda'")

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    said = "JAX_PLATFORMS=cuda: RuntimeError: Unknown backend: 'cuda'."
    assert starts(fails).endswith(said)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--accelerator", "--only=runtime"], "--only does not go with --accelerator."),
        (["--tiny"], "--tiny needs --accelerator."),
        (["--minutes=3"], "--minutes needs --accelerator."),
        ([], None),
        (["--accelerator", "--tiny"], None),
    ],
)
def test_flags_of_one_run_do_not_go_with_the_other(bench, given, said):
    flags.FLAGS(["run", *given])
    try:
        with pytest.raises(SystemExit, match=said) if said else nullcontext():
            bench.check_flags()
    finally:
        flags.FLAGS.unparse_flags()


def test_a_golden_file_that_is_not_there_leaves_its_row_out(monkeypatch, tmp_path):
    monkeypatch.setenv("GPSATTN_GOLDEN_DIR", str(tmp_path))
    row = next(iter(parity.rows(tiny=True)))
    with pytest.raises(
        LeftOut, match=r"b_square_eval\.npz is not there; \$GPSATTN_GOL"
    ):
        row.measure(0.0)


def test_parity_of_the_gsa_module(golden, monkeypatch):
    monkeypatch.setenv("GPSATTN_GOLDEN_DIR", str(golden))
    case = parity.gsa("d_rect_train")
    found = parity.compared(case)
    assert found["margin"] >= 1 and set(found["errors"]) == set(parity.LIMITS)
    case.arrays["param/to_out.bias"] += 1e-3
    assert parity.compared(case)["margin"] < 1


def test_a_peer_that_does_not_work_here_is_told():
    def broken():
        raise NotImplementedError("not on this card")

    ours = card.of(jnp.sin, jnp.ones(8))
    others = {"same": ours, "broken": card.Candidate(broken)}
    found = card.compared(ours, others, 0.0)
    assert set(found["ms"]) == {"ours", "same"}
    assert found["without"] == {"broken": "NotImplementedError: not on this card"}


def test_both_forms_of_randaugment_are_measured(monkeypatch):
    """Each traces its own branch: one loops over images, the other does not."""
    traced = []
    monkeypatch.setattr(jax.lax, "map", lambda *args: traced.append(args) or args[1][0])
    monkeypatch.setattr(card, "compared", lambda ours, others, seconds: others)
    others = kernels.measure_randaugment((2, 8, 8, 3), 0.0)
    others["all at once"].call()
    assert not traced
    others["one by one"].call()
    assert traced


def test_forms_of_the_depthwise_convolution_agree():
    for case in kernels.CASES[-1:]:
        x, filters = kernels.depthwise_arrays(case, 1)
        forms = [
            jax.jit(kernels.backward_by(form, case))(x, filters)
            for form in (
                kernels.depthwise._gradients_of_products,
                kernels.depthwise._gradients_of_conv,
            )
        ]
        for one, other in zip(*forms, strict=True):
            error = jnp.abs(one.astype(jnp.float32) - other.astype(jnp.float32)).max()
            assert error < 2e-2 * jnp.abs(other).max()


def test_the_rows_of_a_card_have_names_of_their_own_and_code():
    for tiny in (False, True):
        rows = list(all_rows.rows(tiny))
        assert len({row.name for row in rows}) == len(rows)
        assert all(len(row.fingerprint()) == 12 for row in rows)
        kinds = " ".join(row.name for row in rows)
        for kind in KINDS:
            assert kind in kinds


@pytest.mark.slow
def test_the_whole_run_on_a_cpu(tmp_path):
    path = session.path_of(tmp_path, tiny=True)
    rows = list(all_rows.rows(tiny=True))
    current = run(rows, path, minutes=30.0, tiny=True)
    document = json.loads(path.read_text())
    found = {row["name"]: row for row in document["rows"]}
    assert list(found) == [row["name"] for row in table.worst_first(found.values())]
    assert set(found) == {row.name for row in rows}
    for name, row in found.items():
        # Golden files and PyTorch may not be here; nothing else may be missing.
        optional = name.startswith(("parity", "beside PyTorch"))
        assert row["state"] == "done" or (optional and row["state"] == "left out"), row
    assert current.summary()[1]
    for name in ("TransXNet-smallest: step", "PGL-SUM: forward"):
        row = found[name]
        assert row["flops"] > 0 and row["bytes"] > 0 and row["compile_s"] > 0
        assert row["first_s"] >= row["init_s"] + row["trace_s"] + row["compile_s"]
    again = session.Session(rows, path, tiny=True)
    again.resume(fresh=False)
    waiting = {name for name, row in again.found.items() if row["state"] != "done"}
    assert waiting == {name for name, row in found.items() if row["state"] != "done"}
