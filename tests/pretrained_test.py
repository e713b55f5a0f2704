"""Networks by name, and files that stand for runs: found, opened, refused, exact."""

import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest
import safetensors

from benchmarks import pretrained as packing
from gpsattn_jax import convert, pretrained
from gpsattn_jax.systems import gsanet, named_networks, run_files
from tests.digits_run import SMALL
from tests.scripts import run_script

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")

NAMES = sorted(pretrained.available())


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    gsanet.train(SMALL, folder)
    return folder


@pytest.fixture
def file(workdir, tmp_path):
    """The run as a file."""
    path = tmp_path / "mine.safetensors"
    run_files.write_run(path, "gsanet", gsanet.restore(workdir))
    return path


def pictures():
    return np.random.default_rng(0).random((3, 8, 8, 1), np.float32)


def test_a_file_stands_for_the_run(workdir, file):
    ours, theirs = gsanet.restore(workdir), pretrained.load(file)
    assert theirs.config == ours.config and theirs.step == ours.step
    assert theirs.class_names == ours.class_names
    np.testing.assert_array_equal(
        gsanet.probabilities(theirs, pictures()),
        gsanet.probabilities(ours, pictures()),
    )
    _, params, _ = convert.load("gsanet", file)  # its weights alone, too
    assert set(params) == set(ours.params)


def test_a_file_has_one_set_of_weights(file):
    message = f"{file}: the averaged weights are asked of a workdir."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gsanet.restore(file, averaged=True)


def test_weights_alone_are_no_run(workdir, tmp_path):
    run, path = gsanet.restore(workdir), tmp_path / "weights.safetensors"
    convert.save(path, run.params, run.state, run.config.model)
    message = f"^{re.escape(str(path))}: must hold a run, with its settings"
    with pytest.raises(ValueError, match=message):
        pretrained.load(path)


def rewritten(path, change):
    """The file with another record."""
    with safetensors.safe_open(path, "numpy") as file:
        metadata = file.metadata()
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    record = json.loads(metadata["run"])
    change(record)
    metadata["run"] = json.dumps(record)
    safetensors.numpy.save_file(arrays, path, metadata)


def test_another_systems_file_is_refused(file):
    rewritten(file, lambda record: record["settings"].update(system="gpsnet"))
    message = f"{file} must be a run of gsanet; got gpsnet."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        gsanet.restore(file)


DAMAGE = {
    "no step": (lambda record: record.pop("step"), "record of a run"),
    "no settings": (lambda record: record.pop("settings"), "record of a run"),
    "no classes": (lambda record: record["settings"].pop("class_names"), "class_names"),
    "a field of no config": (
        lambda record: record["settings"]["train"].update(nothing=1),
        "nothing",
    ),
    "more blocks than arrays": (
        lambda record: record["settings"]["model"].update(layers=[3]),
        "missing",
    ),
}


@pytest.mark.parametrize("change, words", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_is_told_with_its_file(file, change, words):
    rewritten(file, change)
    with pytest.raises(ValueError) as error:
        gsanet.restore(file)
    assert str(file) in str(error.value) and words in str(error.value)


def test_an_unknown_name_lists_the_known():
    with pytest.raises(FileNotFoundError) as error:
        pretrained.load("gsanet-nothing")
    assert all(name in str(error.value) for name in NAMES)


def test_a_workdir_or_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert named_networks.find("gsanet-digits").suffix == ".safetensors"
    (tmp_path / "gsanet-digits").mkdir()  # results of an evaluation
    assert named_networks.find("gsanet-digits").suffix == ".safetensors"
    (tmp_path / "gsanet-digits" / "checkpoints").mkdir()
    assert named_networks.find("gsanet-digits").suffix == ""


def test_the_package_stays_small():
    files = sorted(named_networks.FOLDER.glob("*.safetensors"))
    assert [file.stem for file in files] == NAMES
    assert sum(file.stat().st_size for file in files) <= 8e6


@pytest.mark.parametrize("name", NAMES)
def test_its_row_is_of_this_file_and_its_card_of_this_row(name):
    row = pretrained.available()[name]
    content = row.path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == row.sha256
    assert len(content) == row.size
    text = (named_networks.FOLDER / f"{name}.md").read_text()
    assert text == packing.card(row, packing.PACKED[name].limits)
    for field in ("task", "data", "metric", "trained_by", "licence"):
        assert getattr(row, field) == getattr(packing.PACKED[name], field, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_its_figure_is_measured_again(name, data_dir):
    value = packing.measure(name, data_dir)
    assert abs(value - pretrained.available()[name].value) < 1e-3


# By the commands.


def test_predict_and_start_by_name(tmp_path, monkeypatch, workdir):
    monkeypatch.chdir(tmp_path)
    from PIL import Image

    digit = (pictures()[0, ..., 0] * 255).astype(np.uint8)
    Image.fromarray(digit).save("digit.png")
    code, out, err = run_script(
        "gsanet", "--mode=predict", "--weights=gsanet-digits", "--images=digit.png"
    )
    assert code == 0 and out.startswith("digit.png: "), err
    flags = "--setup=digits", "--train.num_steps=1", "--train.warmup_steps=0"
    code, out, err = run_script(
        "gsanet", *flags, "--workdir=mine", "--init_from=gsanet-digits", "--nobaselines"
    )
    assert code == 0, err


def test_evaluate_puts_its_results_into_a_folder_of_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run_script("gsanet", "--mode=evaluate", "--weights=gsanet-digits")
    assert code == 0 and "(ours)" in out, err
    assert [path.name for path in tmp_path.iterdir()] == ["gsanet-digits"]


def test_a_report_of_a_file_has_no_learning_curves(tmp_path, monkeypatch, file):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")
    monkeypatch.chdir(tmp_path)
    code, _, err = run_script(
        "gsanet", "--mode=report", f"--weights={file}", "--output=r", "--nobaselines"
    )
    assert code == 0, err
    page = (tmp_path / "r" / "index.html").read_text()
    assert "Mistakes" in page and "Learning" not in page


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--weights=gsanet-digits"], "--weights is for --mode=evaluate"),
        (
            ["--weights=gsanet-digits", "--workdir=w"],
            "Error: --weights stands in the place of --workdir; give one of them.",
        ),
        ([], "Error: --workdir is missing: The folder of checkpoints and logs."),
        (["--mode=evaluate", "--weights=gsanet-nothing"], "gsanet-nothing"),
    ],
)
def test_wrong_flags_are_told(flags, words):
    code, _, err = run_script("gsanet", *flags)
    assert code != 0 and words in err


def test_a_run_becomes_a_file_by_the_command(workdir, tmp_path):
    path = tmp_path / "out.safetensors"
    flags = f"--source={workdir}", f"--output={path}"
    code, out, err = run_script("convert_checkpoint", *flags)
    assert code == 0 and f"Written to {path}." in out, err
    assert pretrained.load(path).config == SMALL
    assert dataclasses.is_dataclass(pretrained.load(path))
