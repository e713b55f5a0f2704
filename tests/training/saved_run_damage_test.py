"""Saved runs that are damaged: found, named, and what is whole is taken instead."""

import contextlib
import json
import random
import shutil

import jax
import numpy as np
import pytest

from gpsattn_jax.training import Machine
from gpsattn_jax.training.checkpoints import Checkpoints
from gpsattn_jax.training.checksums import NAME, check
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.loop import open_checkpoints
from tests.training.fit_test import NETWORK, assert_same_bits, run

WHOLE = {"machine": Machine(whole=True)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with steps 10 (the best), 15 and 20, and its end."""
    path = tmp_path_factory.mktemp("finished")
    return path, run(path, scores=(0.3, 0.9, 0.4, 0.5))


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(finished[0], tmp_path / "run")


def step_folder(workdir, step=20):
    return workdir / "checkpoints" / str(step)


def files_of(workdir, step=20):
    """The files of a checkpoint, as paths in it."""
    folder = step_folder(workdir, step)
    return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())


def without_checksums(workdir):
    """As runs were saved before there were checksums."""
    for folder in (workdir / "checkpoints").iterdir():
        (folder / NAME).unlink()
        kept = json.loads((folder / "_CHECKPOINT_METADATA").read_text())
        kept["custom_metadata"] = {}
        (folder / "_CHECKPOINT_METADATA").write_text(json.dumps(kept))


def read(workdir, step=20):
    """Settings and weights of a step, as evaluation reads them."""
    with open_checkpoints(workdir) as checkpoints:
        assert checkpoints.latest() == 20
        settings = checkpoints.metadata(step)
        weights = checkpoints.restore_weights(step, *NETWORK.shapes())
    return settings, jax.device_get(weights)


def flip(path, place, bit=2):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def largest(workdir, item):
    """The largest file of an item: its numbers."""
    files = (step_folder(workdir) / item).rglob("*")
    return max((p for p in files if p.is_file()), key=lambda p: p.stat().st_size)


def test_a_save_lists_every_file_and_all_agree(workdir):
    folder = step_folder(workdir)
    assert check(folder)
    listed = {line.split(" ", 2)[2] for line in _rows(folder)}
    not_listed = {NAME, "_CHECKPOINT_METADATA", "commit_success.txt"}
    assert listed == {path.as_posix() for path in files_of(workdir)} - not_listed
    for line in _rows(folder):
        size, _, name = line.split(" ", 2)
        assert (folder / name).stat().st_size == int(size)


def _rows(folder):
    return (folder / NAME).read_text().splitlines()[:-1]


def test_checksums_are_those_of_zlib(tmp_path):
    """The CRC-32 of "123456789" stands in every textbook."""
    from gpsattn_jax.training.checksums import write_checksums

    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "a").write_bytes(b"123456789")
    (tmp_path / "params" / "b").write_bytes(b"")
    write_checksums(tmp_path)
    rows = (tmp_path / NAME).read_text().splitlines()
    assert rows[:2] == ["9 cbf43926 params/a", "0 00000000 params/b"]


def test_pieces_of_a_large_file_are_all_compared(tmp_path):
    from gpsattn_jax.training.checksums import Damaged, write_checksums

    path = tmp_path / "params" / "a"
    path.parent.mkdir()
    path.write_bytes(np.random.default_rng(0).bytes(2**24 + 5))
    write_checksums(tmp_path)
    assert check(tmp_path)
    for place in (0, 2**23, 2**24 + 4):
        flip(path, place)
        with pytest.raises(Damaged, match="params/a is not what was saved"):
            check(tmp_path)
        flip(path, place)
    assert check(tmp_path, ["metrics"])


@pytest.mark.parametrize("item", ["params", "model_state"])
def test_a_flipped_bit_is_found_and_named_by_whoever_reads(workdir, item):
    path = largest(workdir, item)
    flip(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match="is not what was saved") as error:
        read(workdir)
    text = str(error.value)
    assert text.startswith(f"{path} ") and "\n" not in text
    assert "--checkpoint=whole takes step 15, the newest that is whole" in text
    with pytest.raises(ValueError, match="is not what was saved"):
        run(workdir)  # a finished run would only be restored
    assert read(workdir, step=15)


@pytest.mark.parametrize("how", ["gone", "empty", "cut"])
def test_files_that_are_gone_or_cut_are_named(workdir, how):
    """Each file in turn; those that the end of a save writes hold no numbers."""
    settings, weights = read(workdir)
    found = 0
    for name in files_of(workdir):
        path = step_folder(workdir) / name
        content = path.read_bytes()
        if how == "gone":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2 if how == "cut" else 0])
        try:
            assert_same_bits(read(workdir), (settings, weights))
        except ValueError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            assert "does not fit" not in str(error)
            found += 1
        else:
            left_out = ("metrics", "opt_state", "position")
            assert name.parts[0] in left_out or len(name.parts) == 1, name
        path.write_bytes(content)
    assert found >= 15


def test_training_goes_on_from_the_newest_whole_step(finished, workdir, capsys):
    path = largest(workdir, "opt_state")
    flip(path, 5)
    with pytest.raises(ValueError, match="opt_state.* is not what was saved"):
        run(workdir)
    resumed = run(workdir, options=WHOLE)
    told = capsys.readouterr().err
    assert f"Step 20 is damaged: {path}" in told
    aside = workdir / "checkpoints-damaged" / "20"
    assert f"Step 20 is set aside as {aside}" in told
    assert "Going on from step 15" in told
    assert (aside / path.relative_to(step_folder(workdir))).is_file()
    assert_same_bits(resumed, finished[1])
    assert read(workdir)


def test_no_whole_step_is_told_and_nothing_is_moved(workdir):
    for step in (10, 15, 20):
        (step_folder(workdir, step) / "params" / "_METADATA").unlink()
    with pytest.raises(ValueError, match="There is no other whole checkpoint"):
        run(workdir)
    with pytest.raises(ValueError, match="no checkpoint is whole; none was moved"):
        run(workdir, options=WHOLE)
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == [
        "10", "15", "20",
    ]  # fmt: skip


def test_damaged_metrics_leave_the_run_readable(workdir, capsys):
    path = step_folder(workdir, 15) / "metrics" / "metrics"
    path.write_bytes(b"")
    assert read(workdir)
    with open_checkpoints(workdir) as checkpoints:
        assert checkpoints.best() == 10
    assert f"{path} must have " in capsys.readouterr().err
    flip(step_folder(workdir, 10) / "metrics" / "metrics", -2)
    with open_checkpoints(workdir) as checkpoints:
        assert checkpoints.best() == 20
    assert "Step 10 is left out in the search for the best" in capsys.readouterr().err


def test_a_step_with_damaged_metrics_is_not_deleted(workdir):
    step_folder(workdir, 10).joinpath("metrics", "metrics").write_bytes(b"")
    state = run(workdir)
    with Checkpoints(workdir / "checkpoints", keep_latest=1) as checkpoints:
        later = state._replace(step=jax.numpy.int32(25))
        settings = {"train": {}}
        checkpoints.save(
            later, position={}, metadata=settings, metrics={"accuracy": 0.1}
        )
    with open_checkpoints(workdir) as checkpoints:
        assert checkpoints.steps() == [10, 20, 25]  # 20 is the best that is known


def test_checkpoints_without_checksums_restore_and_say_so(finished, workdir, capsys):
    without_checksums(workdir)
    assert_same_bits(read(workdir), read(finished[0]))
    assert capsys.readouterr().err.count("carries no checksums") == 1
    assert_same_bits(run(workdir), finished[1])
    path = largest(workdir, "params")
    path.write_bytes(b"")
    for name in path.parent.parent.rglob("*"):  # the same numbers may lie elsewhere
        if name.is_file() and name.parent.name == "d":
            name.write_bytes(b"")
    with pytest.raises(ValueError, match="20 cannot be read: ") as error:
        read(workdir)
    assert "does not fit" not in str(error.value)
    assert "--checkpoint=whole takes step 15" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_list_of_checksums_that_is_gone_is_missed(workdir):
    (step_folder(workdir) / NAME).unlink()
    with pytest.raises(ValueError, match=f"{NAME} is missing"):
        read(workdir)
    (step_folder(workdir) / NAME).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{NAME} is not what was saved"):
        read(workdir)


def damaged(content, seed):
    """Some bytes flipped, lost, doubled or made anew."""
    draw = random.Random(seed)
    content = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(content) + 1)
        stop = place + draw.choice([1, 2, 8, len(content)])
        match draw.randrange(5):
            case 0:
                content[place:place] = content[place:stop]
            case 1:
                del content[place:stop]
            case 2:
                content[place:stop] = draw.randbytes(min(stop - place, 50))
            case 3:
                odd = (b"[" * 5000, b"9" * 500, b"null", b"{", b"NaN", b"\0", b'"')
                content[place:place] = draw.choice(odd)
            case _ if content:
                content[min(place, len(content) - 1)] ^= 1 << draw.randrange(8)
    return bytes(content)


@pytest.mark.slow
def test_random_damage_of_the_log_is_named(workdir, seeds, capsys):
    path = workdir / "metrics.jsonl"
    content = path.read_bytes()
    refused = 0
    for seed in seeds:
        path.write_bytes(damaged(content, seed))
        try:
            lines = read_metrics(workdir)
            assert all(isinstance(line["step"], int | float) for line in lines)
        except ValueError as error:
            assert str(error).startswith(f"{path}, line "), (seed, error)
            assert "\n" not in str(error) and len(str(error)) < 400
            refused += 1
    assert refused > len(seeds) / 4


@pytest.mark.slow
@pytest.mark.parametrize("item", ["metadata", "metrics", "position"])
def test_random_damage_of_json_without_checksums_is_named(workdir, seeds, item, capsys):
    from gpsattn_jax.training.saved_items import json_file, read_object

    path = json_file(step_folder(workdir), item)
    content = path.read_bytes()
    for seed in seeds:
        path.write_bytes(damaged(content, seed))
        try:
            assert isinstance(read_object(step_folder(workdir), item), dict)
        except ValueError as error:
            assert str(error).startswith(f"{path} must hold "), (seed, error)
            assert "\n" not in str(error) and len(str(error)) < 600


@pytest.mark.slow
def test_every_flip_of_a_bit_that_matters_is_found(workdir, seeds):
    """Whatever reads without an error reads what was saved."""
    folder, good = step_folder(workdir), read(workdir)
    files = [folder / name for name in files_of(workdir)]
    found = 0
    for seed in seeds:
        draw = random.Random(seed)
        path = draw.choice(files)
        place, bit = draw.randrange(path.stat().st_size), draw.randrange(8)
        flip(path, place, bit)
        item = path.relative_to(folder).parts[0]
        whole = None
        with contextlib.suppress(ValueError):
            whole = check(folder)
        if whole:
            assert path.parent == folder, (seed, path)
            assert_same_bits(read(workdir), good)
        elif item in ("params", "model_state", "metadata", NAME):
            with pytest.raises(ValueError, match="is not what was saved") as error:
                read(workdir)
            assert str(error.value).startswith(str(path)), (seed, path)
            found += 1
        flip(path, place, bit)
    assert found > len(seeds) / 4
