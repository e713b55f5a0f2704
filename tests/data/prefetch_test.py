"""Prefetched batches are the batches: by a thread or processes, resumed, and closed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from gpsattn_jax.data.batches import Batches
from gpsattn_jax.data.images.class_folders import read_folder
from gpsattn_jax.data.images.crop import Crop
from gpsattn_jax.data.prefetch import Prefetched


class Numbers:
    """The batch of a step is the step; some steps are errors."""

    def __init__(self, bad=(), seconds=0.0):
        self.bad, self.seconds = bad, seconds
        self.asked = []

    def __call__(self, step):
        self.asked.append(step)
        time.sleep(self.seconds)
        if step in self.bad:
            raise ValueError(f"step {step} is bad")
        return {"inputs": {"x": np.full(20_000, step)}, "targets": {}}

    def position(self, step):
        return {"step": step}


def values(batches, steps):
    return [int(batches(step)["inputs"]["x"][0]) for step in steps]


def prefetchers():
    return [
        thread for thread in threading.enumerate() if thread.name.startswith("prefetch")
    ]


def test_any_step_may_follow_any_other():
    steps = [0, 1, 2, 3, 7, 8, 2, 2, 3, 0]
    with Prefetched(Numbers(), depth=3) as batches:
        assert values(batches, steps) == steps
        assert batches.position(4) == {"step": 4}


def test_the_next_batches_are_made_ahead_and_none_after_the_last():
    numbers = Numbers()
    with Prefetched(numbers, depth=2, stop=5) as batches:
        batches(1)
        deadline = time.monotonic() + 5
        while len(numbers.asked) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert numbers.asked == [1, 2, 3]
        assert values(batches, [2, 3, 4]) == [2, 3, 4]
        with pytest.raises(ValueError, match="step must be less than 5; got 5"):
            batches(5)
    assert numbers.asked == [1, 2, 3, 4]


def test_an_error_is_raised_at_its_step_and_again():
    with Prefetched(Numbers(bad=(3,)), depth=4) as batches:
        assert values(batches, [0, 1, 2]) == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(ValueError, match="step 3 is bad"):
                batches(3)
        assert values(batches, [4, 5]) == [4, 5]


def test_close_ends_the_thread_promptly():
    batches = Prefetched(Numbers(seconds=0.2), depth=50)
    batches(0)
    assert prefetchers()
    start = time.monotonic()
    batches.close()
    assert time.monotonic() - start < 1 and not prefetchers()
    with pytest.raises(ValueError, match="closed"):
        batches(1)
    batches.close()


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"workers": -1}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must be at least .; got"):
        Prefetched(Numbers(), **wrong)


def test_workers_give_the_same_batches_of_files_from_any_step(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), np.uint8)
    for number, image in enumerate(pixels):
        folder = tmp_path / "train" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    source = read_folder(tmp_path, Crop(size=8), threads=1)["train"]
    plain = Batches(source, batch_size=2, seed=0)
    for workers, steps in ((1, range(4)), (2, [0, 1, 2, 3, 4, 11, 12, 13])):
        with Prefetched(plain, workers=workers, stop=20) as batches:
            for step in steps:
                expected, found = plain(step), batches(step)
                assert expected.keys() == found.keys()
                for drawer, arrays in expected.items():
                    for name, array in arrays.items():
                        assert type(found[drawer][name]) is np.ndarray
                        np.testing.assert_array_equal(found[drawer][name], array)
        assert not multiprocessing.active_children()


def test_a_workers_error_is_raised_at_its_step():
    with Prefetched(Numbers(bad=(2,)), workers=2, depth=4) as batches:
        assert values(batches, [0, 1]) == [0, 1]
        with pytest.raises(ValueError, match="step 2 is bad"):
            batches(2)
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_one_line_that_says_how():
    with Prefetched(Numbers(seconds=0.01), workers=2) as batches:
        batches(0)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(
            ChildProcessError, match="ended .SIGKILL, as .*data.workers"
        ):
            for step in range(1, 500):
                batches(step)
    assert not multiprocessing.active_children()


PROGRAM = """
import os, signal, sys, time
sys.path[:0] = {path!r}
from gpsattn_jax.data.prefetch import Prefetched
from tests.data.prefetch_test import Numbers, values

if __name__ == "__main__":
    stops = []
    signal.signal(signal.SIGINT, lambda *_: stops.append(1))
    batches = Prefetched(Numbers(seconds=0.01), workers={workers}, depth=4)
    print(values(batches, range(3)), flush=True)
    for step in range(3, 5000):
        assert values(batches, [step]) == [step]
        if stops:
            break
    assert stops, "no interrupt came"
    assert values(batches, range(step + 1, step + 30)) == [*range(step + 1, step + 30)]
    # Left open: the end of the program must not wait for it.
"""


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_is_for_the_program_and_nothing_outlives_it(tmp_path, workers):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(path=[os.getcwd()], workers=workers))
    process = subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout.readline() == b"[0, 1, 2]\n"
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to all of them
    assert process.wait(60) == 0
    with pytest.raises(ProcessLookupError):  # nobody is left in its group
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.1)
