"""Runs that go on otherwise than they were begun: to more steps, or from earlier."""

import dataclasses
import shutil

import pytest

from gpsattn_jax.systems import SYSTEMS, command_line, grids
from gpsattn_jax.training import Machine
from gpsattn_jax.training.logs import read_metrics
from gpsattn_jax.training.loop import open_checkpoints
from gpsattn_jax.training.optimizers import learning_rate_schedule
from tests.training.fit_test import CONFIG, assert_same_bits, run
from tests.training.saved_run_damage_test import flip, largest, step_folder

EXTEND = {"machine": Machine(extend=True)}
LONGER = dataclasses.replace(CONFIG, num_steps=30)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with steps 10 (the best), 15 and 20, and its end."""
    path = tmp_path_factory.mktemp("finished")
    return path, run(path, scores=(0.3, 0.9, 0.4, 0.5))


@pytest.fixture
def workdir(finished, tmp_path):
    """A copy that goes on."""
    return shutil.copytree(finished[0], tmp_path / "run")


def steps_of(workdir):
    with open_checkpoints(workdir) as checkpoints:
        return checkpoints.steps()


# More steps.


def test_a_finished_run_goes_on_and_its_schedule_is_told(workdir, capsys):
    end = run(workdir, LONGER, options=EXTEND)
    assert int(end.step) == 30 and int(end.opt_state[1][0].count) == 30
    earlier, now = learning_rate_schedule(CONFIG), learning_rate_schedule(LONGER)
    told = capsys.readouterr().err
    assert (
        "Extended from 20 to 30 steps: the learning rate is that of a run of 30 steps "
        f"(train.schedule=cosine) from here on, {float(now(20)):.3g} after "
        f"{float(earlier(19)):.3g}." in told
    )
    rates = {
        n["step"]: n["learning_rate"] for n in read_metrics(workdir) if "loss" in n
    }
    assert rates[18] == pytest.approx(float(earlier(17)))
    assert rates[21] == pytest.approx(float(now(20)))
    assert 30 in steps_of(workdir)


@pytest.mark.filterwarnings("ignore")
def test_an_extended_run_that_stops_is_resumed_as_ever(workdir, tmp_path):
    straight = run(shutil.copytree(workdir, tmp_path / "b"), LONGER, options=EXTEND)
    with pytest.raises(KeyboardInterrupt, match="step 23; the same command goes on"):
        run(workdir, LONGER, options=EXTEND, signal_at=22)
    for options in (EXTEND, {}):  # the same command, or without the flag
        copy = shutil.copytree(workdir, tmp_path / f"copy{len(options)}")
        assert_same_bits(straight, run(copy, LONGER, options=options))


def test_with_a_constant_rate_it_is_the_run_of_more_steps(tmp_path):
    config = dataclasses.replace(CONFIG, schedule="constant", warmup_steps=4)
    run(tmp_path / "a", config)
    longer = dataclasses.replace(config, num_steps=30)
    extended = run(tmp_path / "a", longer, options=EXTEND)
    assert_same_bits(extended, run(tmp_path / "b", longer))


def test_without_the_flag_the_error_names_it(workdir):
    with pytest.raises(ValueError, match="num_steps was 20, is 30.* there is --extend"):
        run(workdir, LONGER)
    fewer = dataclasses.replace(CONFIG, num_steps=10)
    with pytest.raises(ValueError, match="num_steps was 20, is 10") as error:
        run(workdir, fewer)
    assert "--extend" not in str(error.value)


def test_nothing_else_may_differ(workdir):
    other = dataclasses.replace(LONGER, learning_rate=0.5)
    with pytest.raises(ValueError, match="learning_rate was 0.001, is 0.5") as error:
        run(workdir, other, options=EXTEND)
    assert "num_steps" not in str(error.value)
    fewer = dataclasses.replace(CONFIG, num_steps=10)
    with pytest.raises(ValueError, match="num_steps must be above the 20 of .*got 10"):
        run(workdir, fewer, options=EXTEND)
    assert steps_of(workdir) == [10, 15, 20]


def test_a_finished_run_says_so(workdir, capsys):
    run(workdir)
    assert f"{workdir} has its 20 steps already; --extend" in capsys.readouterr().err


def test_what_is_not_there_is_not_extended(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no run to extend"):
        run(tmp_path, LONGER, options=EXTEND)


# From an earlier step.


def from_step(step):
    return {"machine": Machine(resume=step)}


def test_a_damaged_step_is_refused_and_the_one_before_offered(
    finished, workdir, capsys
):
    path = largest(workdir, "params")
    flip(path, path.stat().st_size // 2)
    with pytest.raises(ValueError, match="is not what was saved") as error:
        run(workdir)
    assert str(error.value).startswith(f"{path} ")
    assert "--resume=15 trains on from it." in str(error.value)
    resumed = run(workdir, options=from_step(15))
    told = capsys.readouterr().err
    aside = workdir / "checkpoints-later" / "20"
    assert f"Step 20 is set aside as {aside}." in told
    assert "Going on from step 15" in told
    assert (aside / path.relative_to(step_folder(workdir))).is_file()
    assert_same_bits(resumed, finished[1])
    assert steps_of(workdir) == [10, 15, 20]


def test_a_missing_file_likewise(finished, workdir):
    path = largest(workdir, "opt_state")
    path.unlink()
    with pytest.raises(ValueError, match="--resume=15") as error:
        run(workdir)
    assert str(error.value).startswith(f"{path} is missing.")
    assert_same_bits(run(workdir, options=from_step(15)), finished[1])


def test_any_kept_step_may_be_gone_on_from(finished, workdir, capsys):
    assert_same_bits(run(workdir, options=from_step(10)), finished[1])
    told = capsys.readouterr().err
    assert told.count("is set aside as") == 2
    kept = sorted(p.name for p in (workdir / "checkpoints-later").iterdir())
    assert kept == ["15", "20"]
    run(workdir, options=from_step(15))  # nothing that is aside is written over
    assert (workdir / "checkpoints-later" / "20-2").is_dir()
    steps = [n["step"] for n in read_metrics(workdir) if "loss" in n]
    assert steps == [3, 6, 9, 12, 15, 18, 20]


def test_the_newest_step_is_gone_on_from_and_nothing_moves(workdir):
    run(workdir, options=from_step(20))
    assert not (workdir / "checkpoints-later").exists()


def test_steps_that_are_not_kept_or_not_whole_are_refused(workdir, tmp_path):
    with pytest.raises(ValueError, match="kept in .*: 10, 15, 20; got 12"):
        run(workdir, options=from_step(12))
    with pytest.raises(ValueError, match="resume must be .*: none; got 12"):
        run(tmp_path / "new", options=from_step(12))
    flip(largest_of(workdir, 15), 9)
    with pytest.raises(ValueError, match="is not what was saved.*--resume=20"):
        run(workdir, options=from_step(15))
    assert steps_of(workdir) == [10, 15, 20]


def largest_of(workdir, step):
    files = (step_folder(workdir, step) / "params").rglob("*")
    return max((p for p in files if p.is_file()), key=lambda p: p.stat().st_size)


def test_other_settings_are_refused_before_anything_moves(workdir):
    """Of an extended run, earlier steps belong to the shorter one."""
    run(workdir, LONGER, options=EXTEND)
    kept = steps_of(workdir)
    with pytest.raises(ValueError, match="num_steps was 20, is 30.* there is --extend"):
        run(workdir, LONGER, options=from_step(10))
    assert steps_of(workdir) == kept
    assert not (workdir / "checkpoints-later").exists()
    again = {"machine": Machine(extend=True, resume=10)}
    assert int(run(workdir, LONGER, options=again).step) == 30
    assert steps_of(workdir)[-1] == 30


@pytest.mark.filterwarnings("ignore")
def test_a_stop_says_to_leave_the_flag_away(workdir):
    with pytest.raises(KeyboardInterrupt, match="the same command without --resume"):
        run(workdir, options=from_step(15), signal_at=17)


def test_a_number_of_a_step_is_checked():
    with pytest.raises(ValueError, match="resume must be at least 1; got 0"):
        Machine(resume=0)
    with pytest.raises(ValueError, match="not be given with --checkpoint=whole"):
        Machine(resume=3, whole=True)


def test_a_grid_has_no_one_step(tmp_path):
    system = SYSTEMS["gsanet"]
    config = system.face().SETUPS["digits"]
    with pytest.raises(ValueError, match="resume is for one run; .* 2 of them"):
        grids.train_runs(system, config, tmp_path, seeds=2, machine=Machine(resume=3))


@pytest.mark.parametrize("name", ["extend", "resume"])
def test_they_are_flags_of_training(name):
    with pytest.raises(ValueError, match=f"--{name} is for --mode=train"):
        command_line.refuse_other_modes([name], "evaluate")
