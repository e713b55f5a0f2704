"""Artefacts: the same outputs in a process that has none of our code."""

import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gpsattn_jax import convert
from gpsattn_jax.models import gsanet as models
from gpsattn_jax.systems import gsanet
from gpsattn_jax.systems.export import artefacts, inspection
from gpsattn_jax.systems.export import check as export_check
from gpsattn_jax.systems.export import models as export
from gpsattn_jax.systems.image_classifier.artefact import classifier_model, open_model
from gpsattn_jax.systems.run_files import TrainedRun
from gpsattn_jax.training import TrainConfig
from gpsattn_jax.training.sharding import place
from tests.scripts import run_script

pytest.importorskip("flatbuffers", reason="needs flatbuffers (extra: export)")

ROOT = pathlib.Path(__file__).parents[3]
SMALL = dataclasses.replace(
    models.VARIANTS["8px"], layers=(1,), widths=(8,), mixers=("gsa",)
)


def classifier(config=SMALL, **data):
    """A network whose branches all count: no scale is left at zero."""
    network = models.build(config)
    params, state = network.init(jax.random.key(0))
    params = jax.tree.map(lambda array: array + 0.1, params)
    run = gsanet.Config(
        model=config, data=dataclasses.replace(gsanet.Config().data, **data)
    )
    names = tuple("abcdefghij")
    placement = place()
    return TrainedRun(run, 7, network, params, state, placement, names)


@pytest.fixture(scope="module")
def model():
    return classifier_model(classifier(), {"system": "gsanet"})


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "digits.stablehlo"
    export.export(model, path)
    return path


def test_fresh_process_gives_the_network_s_outputs(model, path):
    assert export_check.check(model, path, sizes=(1, 2, 5)) <= 1e-6


def test_another_network_is_not_taken_for_it(path):
    other = classifier_model(classifier(mean=(0.9,)), {})
    with pytest.raises(ValueError, match="must be within 1e-05 of the network's; got"):
        export_check.check(other, path, sizes=(2,))


def test_pictures_go_in_and_probabilities_come_out(path):
    pictures = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
    found = artefacts.load(path)(pictures)
    expected = gsanet.probabilities(classifier(), pictures)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.sum(found, axis=-1), 1, rtol=1e-5)


def test_the_description_says_what_a_user_must_know(path):
    written = json.loads(path.with_suffix(".json").read_text())
    images = {"shape": ["b", 8, 8, 1], "dtype": "float32"}
    assert written["inputs"] == {"images": images}
    assert written["outputs"] == {"outputs": {"shape": ["b", 10], "dtype": "float32"}}
    assert written["class_names"] == list("abcdefghij") and written["step"] == 7
    assert "inside" in written["takes"] and written["mean"] == [0.305]
    assert written["platforms"] == ["cpu"] and written["jax"] == jax.__version__
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "digits.json", "digits.stablehlo",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 8, 9, 1), np.float32), r"got \[2, 8, 9, 1\] float32"),
        (np.zeros((8, 8, 1), np.float32), r"got \[8, 8, 1\] float32"),
        (np.zeros((0, 8, 8, 1), np.float32), r"got \[0, 8, 8, 1\] float32"),
        (np.zeros((2, 8, 8, 1)), "got .* float64"),
        (np.zeros((2, 8, 8, 1), np.uint8), "got .* uint8"),
        ([[1.0]], r"got \[1, 1\] list"),
    ],
)
def test_inputs_that_do_not_fit_are_named(path, images, message):
    expected = r"images must be \[b, 8, 8, 1\] float32; "
    with pytest.raises(ValueError, match=expected + message):
        artefacts.load(path)(images)


def test_several_inputs_and_outputs_of_any_network(tmp_path):
    """Arrays by place, one batch for all; outputs that are a tree."""

    class Network:
        def apply(self, params, state, *, frames, mask):
            total = jnp.where(mask[..., None], frames, 0).sum(1)
            return {"total": total * params["scale"], "some": mask.any(1)}, state

    inputs = {
        "mask": jax.ShapeDtypeStruct((1, 6), jnp.bool),
        "frames": jax.ShapeDtypeStruct((1, 6, 2), jnp.float32),
    }
    model = export.network_model(Network(), {"scale": np.float32(2)}, {}, inputs, {})
    path = tmp_path / "two.stablehlo"
    written = export.export(model, path, platforms=("cpu", "cuda", "tpu"))
    assert list(written["outputs"]) == ["some", "total"]
    assert export_check.check(model, path) < 1e-6
    two = artefacts.load(path)
    frames = np.ones((3, 6, 2), np.float32)
    with pytest.raises(ValueError, match=r"frames must be \[2, 6, 2\]"):
        two(np.ones((2, 6), bool), frames)
    with pytest.raises(ValueError, match=r"\['mask', 'frames'\]; got 1 arrays"):
        two(frames)
    np.testing.assert_array_equal(two(np.ones((3, 6), bool), frames)["total"], 12)


def test_broken_files_are_named(path, tmp_path):
    broken = tmp_path / "broken.stablehlo"
    with pytest.raises(FileNotFoundError, match="broken.stablehlo: no such file"):
        artefacts.load(broken)
    content, beside = path.read_bytes(), path.with_suffix(".json").read_text()
    broken.write_bytes(content[:-1])
    with pytest.raises(FileNotFoundError, match="broken.json: no such file"):
        artefacts.load(broken)
    for text in ("{", "[]", "{}"):
        broken.with_suffix(".json").write_text(text)
        with pytest.raises(ValueError, match="broken.json: not .*description"):
            artefacts.load(broken)
    broken.with_suffix(".json").write_text(beside)
    for changed in (content[:-1], b"", content[:-9] + b"\1" + content[-8:]):
        broken.write_bytes(changed)
        with pytest.raises(ValueError, match="must be the .* bytes that broken.json"):
            artefacts.load(broken)


def test_a_process_that_cannot_run_it_says_why(model, tmp_path):
    path = tmp_path / "model.stablehlo"
    export.export(model, path, platforms=("tpu",))
    message = r"does not run in a fresh process: .*exported for platforms '\('tpu',\)'"
    with pytest.raises(ValueError, match=message):
        export_check.check(model, path, sizes=(1,))


def test_an_artefact_of_a_newer_jax_says_so(path, monkeypatch):
    problem = ["not a readable artefact: unknown version 99."]
    monkeypatch.setattr(artefacts, "WRITTEN", set())
    monkeypatch.setattr(artefacts, "inspect", lambda paths: problem)
    with pytest.raises(ValueError, match="made by JAX .*; this is JAX .*99"):
        artefacts.load(path)


def test_an_artefact_of_another_process_is_read(path, monkeypatch):
    monkeypatch.setattr(artefacts, "WRITTEN", set())
    assert artefacts.load(path)(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 10)


def test_a_failed_export_leaves_the_old_files(model, path, monkeypatch):
    before = [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    unwritable = dataclasses.replace(model, metadata={"names": {1, 2}})
    with pytest.raises(TypeError):
        export.export(unwritable, path)
    assert before == [path.read_bytes(), path.with_suffix(".json").read_bytes()]
    assert len(list(path.parent.iterdir())) == 2


def test_wrong_choices_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="written as .stablehlo"):
        export.export(model, tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="of cpu, cuda, rocm, tpu; got 'gpu'"):
        export.export(model, tmp_path / "model.stablehlo", platforms=("gpu",))
    with pytest.raises(FileNotFoundError, match="neither a workdir nor a file"):
        open_model(gsanet.SYSTEM, tmp_path / "run")
    with pytest.raises(ValueError, match="Checkpoints are chosen in runs"):
        open_model(gsanet.SYSTEM, __file__, averaged=True)
    with pytest.raises(ValueError, match="size is for files of weights"):
        open_model(gsanet.SYSTEM, tmp_path, size=8)
    assert not list(tmp_path.iterdir())


def test_weights_from_a_file_give_logits(tmp_path):
    run = classifier()
    weights = tmp_path / "weights.safetensors"
    convert.save(weights, run.params, run.state, SMALL)
    model = open_model(gsanet.SYSTEM, weights)
    assert model.inputs["images"].shape == (1, 8, 8, 1)
    larger = open_model(gsanet.SYSTEM, weights, size=12)
    written = export.export(larger, tmp_path / "larger.stablehlo")
    assert written["inputs"]["images"]["shape"] == ["b", 12, 12, 1]
    assert written["gives"] == "logits" and "normalised" in written["takes"]
    images = np.random.default_rng(0).random((2, 12, 12, 1), np.float32)
    expected, _ = run.network.apply(run.params, run.state, images=images)
    found = artefacts.load(tmp_path / "larger.stablehlo")(images)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_split_for_the_cache_is_exported(tmp_path, monkeypatch):
    """Groups of heads are chosen by sizes, which a symbolic batch must not meet."""
    from gpsattn_jax.modules import global_self_attention

    monkeypatch.setattr(global_self_attention, "GROUP_BYTES", 4000)
    model = classifier_model(classifier(), {})
    export.export(model, tmp_path / "model.stablehlo")
    assert export_check.check(model, tmp_path / "model.stablehlo", sizes=(2,)) <= 1e-6


@pytest.mark.slow
def test_the_script_exports_a_run_and_checks_it(tmp_path):
    pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")
    run, output = tmp_path / "run", tmp_path / "digits.stablehlo"
    train = TrainConfig(num_steps=1, evaluate_every=1, warmup_steps=0)
    data = gsanet.SETUPS["digits"].data
    gsanet.train(gsanet.Config(model=SMALL, data=data, train=train), run)
    arguments = f"--source={run}", f"--output={output}", "--platforms=cpu,cuda"
    code, out, err = run_script("export", *arguments)
    assert code == 0, err
    assert "MB for cpu, cuda" in out
    assert "images [b, 8, 8, 1] float32" in out
    assert "without our code: largest difference" in out
    written = artefacts.load(output).metadata
    assert written["class_names"] == list("0123456789") and written["step"] == 1


def described(path, content, metadata):
    """Writes an artefact whose description has its checksum."""
    path.write_bytes(content)
    checked = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(metadata | checked))


def test_programs_that_call_python_are_refused(tmp_path):
    """The call's index is an address: to call it would crash the process."""

    name = "xla_ffi_python_cpu_callback"
    unchecked = [jax.export.DisabledSafetyCheck.custom_call(name)]
    shape = jax.ShapeDtypeStruct((2, 3), jnp.float32)
    array = {"x": {"shape": ["b", 3], "dtype": "float32"}}
    metadata = {"jax": "0", "platforms": ["cpu"], "inputs": array, "outputs": array}
    path = tmp_path / "calls.stablehlo"
    exported = jax.export.export(
        jax.jit(lambda x: jax.ffi.ffi_call(name, shape)(x, index=np.uint64(0))),
        disabled_checks=unchecked,
    )(shape)
    described(path, bytes(exported.serialize()), metadata)
    with pytest.raises(ValueError, match=f"calls.stablehlo .*custom call {name}, "):
        artefacts.load(path)


def test_calls_of_derivatives_are_found():
    """They come with an artefact, though it is only called."""
    name = "xla_ffi_python_cpu_callback"
    shape = jax.ShapeDtypeStruct((2, 3), jnp.float32)

    @jax.custom_vjp
    def forward(x):
        return x * 2

    forward.defvjp(
        lambda x: (x * 2, None),
        lambda _, up: (jax.ffi.ffi_call(name, shape)(up, index=np.uint64(0)),),
    )
    unchecked = [jax.export.DisabledSafetyCheck.custom_call(name)]
    exported = jax.export.export(jax.jit(forward), disabled_checks=unchecked)(shape)
    content = exported.serialize(vjp_order=1)
    found = inspection.foreign_calls(jax.export.deserialize(content))
    assert found == [f"the custom call {name}"]


def test_damaged_artefacts_are_named(path, tmp_path, seeds):
    """Bytes changed, put in or left out: none ends this process."""
    whole, paths = path.read_bytes(), []
    for seed in seeds:
        random, content = np.random.default_rng(seed), bytearray(whole)
        for _ in range(random.choice([1, 4, 16])):
            # Most of a file is weights; what has a structure is at both ends.
            near = min(len(content), 4000)
            place = int(random.integers(near)) * int(random.choice([-1, 1]))
            length = int(random.integers(3))
            content[place : place + length or None] = random.bytes(random.integers(3))
        paths.append(tmp_path / f"{seed}.stablehlo")
        paths[-1].write_bytes(content)
    problems = inspection.inspect(paths)
    assert len(problems) == len(paths)
    assert sum(map(bool, problems)) > len(paths) / 3
    assert all(len(problem.splitlines()) <= 1 for problem in problems)
    broken = paths[next(place for place, problem in enumerate(problems) if problem)]
    metadata = json.loads(path.with_suffix(".json").read_text())
    described(broken, broken.read_bytes(), metadata)
    with pytest.raises(ValueError, match=f"{broken.name} .made by JAX"):
        artefacts.load(broken)


def test_a_reader_that_crashes_is_said_and_the_next_file_is_read(path, monkeypatch):
    crash = "import os, sys; print(chr(34) * 2, flush=True) or os.abort()"
    calls = iter([[sys.executable, "-c", crash], None])
    run = subprocess.run

    def run_or_crash(command, **options):
        return run(next(calls) or command, **options)

    monkeypatch.setattr(inspection.subprocess, "run", run_or_crash)
    problems = inspection.inspect([path] * 3)
    assert problems == ["", "it is damaged so that JAX's reader crashes.", ""]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inputs", []), ("inputs", {"images": [1]}),
        ("inputs", {"images": {"shape": 3}}),
        ("outputs", {"x": {"shape": [], "dtype": "float32"}}), ("jax", None),
        ("bytes", "many"), ("platforms", "cpu"),
        ("inputs", {"images": {"shape": ["b", 9, 9, 1], "dtype": "float32"}}),
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit_are_named(path, tmp_path, field, value):
    metadata = json.loads(path.with_suffix(".json").read_text())
    odd = tmp_path / "odd.stablehlo"
    odd.write_bytes(path.read_bytes())
    odd.with_suffix(".json").write_text(json.dumps(metadata | {field: value}))
    part = next(iter(value)) if isinstance(value, dict) and value else field
    with pytest.raises(ValueError, match=f"odd.json: .*({field}|{part}) must be"):
        artefacts.load(odd)


def test_files_that_ended_in_tracebacks(cases):
    problems = inspection.inspect(sorted((cases / "attacks").glob("*.stablehlo")))
    assert "must compute alone; its program has the custom call xla_ffi" in problems[0]
    assert len(problems) == 6 and all(problems)
