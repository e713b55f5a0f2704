"""Pages as a user walks them: every command in order, in a folder with what it needs.

Trainings take four steps of a small network (the page's own flags win); what commands
answer is not compared, but where a page shows a refusal it must be that one.
"""

import io
import os
import pathlib
import sys

import pytest

from gpsattn_jax import commands
from tests import page_folders as folder
from tests.blocks import blocks_of, commands_of
from tests.page_folders import SMALL
from tests.pages_test import PAGES, ROOT, name_of, says, script_of
from tests.scripts import run, run_script

pytest.importorskip("sklearn", reason="needs scikit-learn (extra: data)")

pytestmark = pytest.mark.slow

ANNOTATED = [
    folder.video("in.mp4"),
    *(folder.video(f"my_videos/{name}.mp4") for name in "abc"),
    folder.table(
        "scores.csv",
        "video,user,start,end\na.mp4,ann,0,1\na.mp4,bob,1,2\n"
        "b.mp4,ann,2,3\nb.mp4,bob,1,2\nc.mp4,ann,0,1\nc.mp4,bob,1,3\n",
    ),
    folder.table("splits.json", '[{"train_keys": ["a", "b"], "test_keys": ["c"]}]'),
]
# What a page takes for given.
GIVEN = {
    "README.md": [
        folder.bodies, folder.pictures("my_pictures"),
        folder.pictures("my_classes", "abcde", 24), folder.pictures_run("runs/cifar"),
        *ANNOTATED,
    ],
    "docs/how_to/evaluate.md": [
        folder.digits_run("runs/mine"),
        folder.digits_run("runs/averaged", "--train.ema_decay=0.9"),
        folder.pictures("shots"),
    ],
    "docs/how_to/export.md": [folder.digits_run("runs/mine")],
    "docs/how_to/fine_tune.md": [
        folder.pictures("my_pictures", ("cats", "dogs"), 15),
        folder.pictures_run("runs/cifar"),
        folder.digits_run("runs/mine", small=folder.STEPS),
    ],
    "docs/how_to/own_mechanism.md": [],
    "docs/how_to/own_pictures.md": [
        folder.pictures("my_pictures", ("cats", "dogs"), 15)
    ],
    "docs/how_to/own_skeletons.md": [folder.clips, folder.pickles],
    "docs/how_to/profile.md": [],
    "docs/how_to/recipes.md": [folder.pictures("my_pictures")],
    "docs/how_to/recognise_actions.md": [folder.gpsnet_run("runs/mine")],
    "docs/how_to/summarize_videos.md": [folder.video("in.mp4")],
    "docs/how_to/train.md": [],
    "docs/how_to/weights_by_name.md": [
        folder.pictures("my_pictures"), folder.video("in.mp4")
    ],
}  # fmt: skip
PUBLIC_DATA = {"README.md", "docs/how_to/weights_by_name.md"}
# Pages whose commands are parsed alone (tests/pages_test.py), and why.
PARSED = {
    "docs/results.md": "hours of training",
    "docs/scaling.md": "minutes a plan; tests/systems/planning_test.py has small ones",
    "docs/reliability.md": "thousands of seeds",
    "docs/how_to/command_line.md": "tests/commands_test.py runs them",
    "docs/how_to/export_onnx.md": "tests/systems/export/onnx_test.py exports them all",
    "docs/how_to/follow_a_run.md": "tests/training/trackers_test.py follows one",
    "docs/how_to/mediapipe.md": "as own_skeletons.md, of recorded persons",
    "docs/how_to/official_weights.md": "official files; tests/convert makes some",
    "docs/how_to/own_videos.md": "as the README's, which are run",
    "docs/how_to/plan_a_pod.md": "TPUs' compiler; tests/systems/planning_test.py",
    "docs/how_to/released_pglsum.md": "it fetches; tests/systems/downloads_test.py",
    "docs/how_to/run_the_tests.md": "the tests themselves",
    "docs/how_to/segmentation.md": "minutes of compiling; tests/systems/segmentation",
    "docs/how_to/several_machines.md": "tests/systems/processes_test.py does",
    "docs/how_to/skeleton_recipes.md": "tests/systems/gpsnet/run_test.py draws so",
    "docs/how_to/skeleton_sets.md": "five minutes of plain classifiers",
    "docs/how_to/summe_and_tvsum.md": "tests/systems/pglsum/run_test.py does",
    "docs/install.md": "it installs",
    "docs/index.md": "it installs",
    "docs/kernels/index.md": "tests/kernel_cards_test.py has it",
    "docs/tutorials/scripts.md": "tests/pages_test.py runs them",
}
# Nothing of these is run: they install, or are not ours.
OTHERS = {"dev.py", "pip", "tensorboard", "cat", "export"}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPSATTN_CACHE_DIR", str(tmp_path / "cache"))


def test_every_page_with_commands_is_in_one_table():
    with_commands = {
        name_of(page)
        for page in PAGES
        if any(map(commands_of, blocks_of(page.read_text())))
    }
    assert with_commands == {*GIVEN, *PARSED} and GIVEN.keys().isdisjoint(PARSED)


@pytest.mark.parametrize("name", sorted(GIVEN))
def test_every_command_of_a_page_runs(name, monkeypatch, request):
    if name in PUBLIC_DATA:
        os.symlink(request.getfixturevalue("data_dir"), "data")
        monkeypatch.setenv("GPSATTN_DATA_DIR", "data")
    else:
        monkeypatch.delenv("GPSATTN_DATA_DIR", raising=False)
    for prepare in GIVEN[name]:
        prepare()
    for block in blocks_of((ROOT / name).read_text()):
        for command in commands_of(block) if block.mark != "not run" else ():
            if OTHERS.isdisjoint(command.words[:2]):
                check(command, f"{name}:{block.line}: {' '.join(command.words)}")


def check(command, line):
    """Runs a command; what it says must be the page's, if the page shows a refusal."""
    refused = command.answer.startswith("Error:")
    code, out, err = executed(command.words, as_it_stands=refused)
    if not refused:
        assert code == 0, f"{line}: {out}{err}"
        return
    errors = [one for one in err.splitlines() if one.startswith("Error:")]
    assert code == 1 and says(command.answer, *errors), f"{line}: {err}"


def executed(words, *, as_it_stands):
    """What a command says, run in this process, a training as a small one."""
    program, script, *arguments = words
    if program == "gpsattn":
        script = script_of(script)
    name = pathlib.Path(script).stem
    is_training = not any(a.startswith("--mode=") for a in arguments)
    small = SMALL.get(name, ()) if is_training and not as_it_stands else ()
    if any(a.startswith(("--init_from=", "--model.mixers=")) for a in arguments):
        small = [flag for flag in small if not flag.startswith("--model.")]
    if not (ROOT / f"experiments/{name}.py").is_file():
        return run(lambda: commands.run(name, ["gpsattn", *arguments]))
    with pytest.MonkeyPatch.context() as patch:
        if "--clip=-" in arguments:
            frames = io.BytesIO(pathlib.Path("long.jsonl").read_bytes())
            patch.setattr(sys, "stdin", io.TextIOWrapper(frames))
        return run_script(name, *small, *arguments)
