"""`gpsattn`: its words, their help, plain words for flags, what `info` counts."""

import json
import pathlib
import subprocess
import sys
import tomllib

import pytest
from absl import flags

from gpsattn_jax import __main__, __version__, commands, config_flags, models
from gpsattn_jax.commands import info
from gpsattn_jax.extras import EXTRAS, explain
from gpsattn_jax.systems import named_networks
from gpsattn_jax.usage import Usage, words_as_flags
from tests import scripts

ROOT = pathlib.Path(__file__).parents[1]
WITHOUT_HEAVY = """
import sys
from gpsattn_jax import __main__
try:
    __main__.main(["/bin/gpsattn", *sys.argv[1:]])
finally:
    print({"jax", "numpy", "absl"} & set(sys.modules))
"""


def gpsattn(*arguments):
    """(exit status, standard output, standard error) of `gpsattn arguments…`."""
    return scripts.run(lambda: __main__.main(["/usr/bin/gpsattn", *arguments]))


def test_every_script_is_a_command():
    started = {
        path.read_text().split("commands.run(")[1].split('"')[1]
        for path in (ROOT / "experiments").glob("*.py")
    }
    assert started == set(commands.COMMANDS) - {"info", "pretrained"}


def test_the_overview_fits_a_screen():
    code, out, _ = gpsattn("--help")
    assert code == 0 and fits(out)
    assert all(f"\n  {word} " in out for word in commands.COMMANDS)
    assert gpsattn() == (2, out, "")


def test_the_first_answers_wait_for_no_library():
    for argument in ("--help", "--version", "grow"):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_HEAVY, argument],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        assert done.stdout.endswith("set()\n"), done.stderr
        assert done.returncode == (argument == "grow")


def test_the_version_is_the_package_s():
    code, out, _ = gpsattn("--version")
    assert code == 0 and out.startswith(f"gpsattn {__version__} (Python 3.")
    assert ", jax " in out and ", flax " in out


@pytest.mark.parametrize(
    ("typed", "offer"),
    [
        ("summarise-video", " Did you mean summarize-video?"),
        ("gsa-net", " Did you mean gsanet?"),
        ("zzzz", ""),
    ],
)
def test_an_unknown_word_is_answered_with_the_nearest(typed, offer):
    assert gpsattn(typed) == (
        1,
        "",
        f"Error: gpsattn has no command {typed!r}.{offer} gpsattn --help lists them.\n",
    )


@pytest.mark.parametrize("word", commands.COMMANDS)
def test_each_command_s_help_fits_a_screen(word):
    if word in ("show-augmentations", "summarize-video"):
        pytest.importorskip("PIL", reason="needs Pillow (extras: data, video)")
    code, out, err = gpsattn(word.replace("-", "_"), "--help")
    assert (code, err) == (0, "") and fits(out)
    assert out.startswith(f"Usage: gpsattn {word}") and "PROGRAM" not in out
    assert f"\n  gpsattn {word}" in out, "it has an example"


def fits(text):
    """Whether it is readable on a screen of 80 columns and 42 rows."""
    lines = text.splitlines()
    return len(lines) <= 40 and max(map(len, lines)) <= 80


def test_the_full_help_groups_all_flags():
    code, out, _ = gpsattn("gsanet", "--helpfull")
    assert code == 0
    groups = [line for line in out.splitlines() if line[:1].strip() and ":" in line]
    assert groups[1:6] == ["The command:", "augment:", "data:", "model:", "train:"]
    model = out[out.index("\nmodel:") : out.index("\ntrain:")]
    assert "  --model.mixers=" in model and "--train.seed" not in model
    assert "--workdir=TEXT" in out and "Of libraries:" in out


def test_a_script_says_how_it_was_called():
    code, out, _ = scripts.run_script("convert_checkpoint", "--help")
    assert code == 0
    path = ROOT / "experiments" / "convert_checkpoint.py"
    assert out.startswith(f"Usage: python {path} SOURCE OUTPUT [--FLAG")


@pytest.fixture
def two_flags():
    """Flags `alpha` and `deep` among those that there are."""
    flags.DEFINE_string("alpha", None, "")
    flags.DEFINE_bool("deep", False, "")
    yield
    del flags.FLAGS.alpha, flags.FLAGS.deep


@pytest.mark.usefixtures("two_flags")
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("in.mp4 out.mp4", "--video=in.mp4 --output=out.mp4"),
        ("--deep in.mp4 --alpha=1 out.mp4", "--deep --alpha=1 --video=in.mp4 "
         "--output=out.mp4"),
        ("--alpha 1 in.mp4", "--alpha 1 --video=in.mp4"),
        ("-", "--video=-"),
        ("-- --odd.mp4", "--video=--odd.mp4"),
        ("a b c", "--video=a --output=b c"),
        ("--alpha", "--alpha"),
    ],
)  # fmt: skip
def test_words_stand_for_flags(typed, expected):
    assert words_as_flags(typed.split(), ("video", "output")) == expected.split()


def test_words_and_flags_run_the_same(monkeypatch):
    found = []

    def run(*arguments):
        flags.DEFINE_string("source", None, "It.", required=True)
        usage = Usage(words=("source",))
        config_flags.run(
            lambda _: found.append(flags.FLAGS.source), usage, ["it", *arguments]
        )

    for arguments in (["a"], ["--source=a"], ["--source", "a"]):
        assert scripts.run(lambda given=arguments: run(*given))[0] == 0
    assert found == ["a"] * 3
    code, _, err = scripts.run(lambda: run("a", "b"))
    assert (code, err) == (1, "Error: Not a flag: b.\nTry --help for the flags.\n")
    code, _, err = scripts.run(run)
    assert (code, err) == (
        1, "Error: --source is missing: It.\nTry --help for the flags.\n"
    )  # fmt: skip


def test_a_plan_s_system_is_its_first_word():
    code, _, err = gpsattn("plan", "gsanett")
    assert code == 1 and err.startswith("Error: --system is missing: one of gpsnet,")


def test_the_networks_are_listed_with_their_cards():
    code, out, _ = gpsattn("pretrained")
    assert code == 0
    known = [*named_networks.available(), *named_networks.PUBLISHED]
    assert set(known) <= {line.split()[0] for line in out.splitlines()}
    code, out, _ = gpsattn("pretrained", "gsanet-digits")
    card = named_networks.FOLDER / "gsanet-digits.md"
    assert (code, out.strip()) == (0, card.read_text().strip())
    code, _, err = gpsattn("pretrained", "gsanet-digit")
    assert code == 1 and err.endswith("Did you mean gsanet-digits?\n")


def test_info_counts_what_a_card_says():
    code, out, _ = gpsattn("info", "gsanet-digits", "--json")
    found = json.loads(out)
    assert code == 0 and found["input"] == {"images": [1, 8, 8, 1]}
    card = named_networks.available()["gsanet-digits"]
    assert found["parameters"] == card.parameters == sum(found["parts"].values())
    assert found["output"] == [1, 10] and found["stages"][1] == [1, 4, 4, 128]
    assert found["flops"] == 2 * found["multiply_adds"]


def test_info_follows_the_size():
    small, large = (info.describe(*info.find_config("pglsum-summe"), n) for n in (8, 9))
    assert small["input"] == {"features": [1, 8, 1024]} and small["output"] == [1, 8]
    assert small["parameters"] == large["parameters"]
    # Linear layers grow with the steps; attention of all to all faster.
    assert large["flops"] * 8 > small["flops"] * 9
    code, out, _ = gpsattn("info", "gpsnet-tiny", "--size=16")
    assert code == 0 and "input joints      1 x 1 x 16 x 25 x 3\n" in out
    assert "  output            1 x 60\n" in out


def test_info_lists_names_and_offers_the_nearest():
    code, out, _ = gpsattn("info")
    assert code == 0 and {"transxnet-tiny", "gsanet-50"} <= set(out.split())
    assert {name.split("-")[0] for name in out.split()} == set(models.__all__)
    assert set(info._INPUTS) == set(models.__all__)
    code, _, err = gpsattn("info", "transxnet-tin")
    assert code == 1 and "no network of that name. Did you mean transxnet-tiny" in err


def test_what_is_not_installed_is_said_with_its_extra():
    for name, extra in (("sklearn.datasets", "data"), ("av", "video")):
        said = explain(ModuleNotFoundError("No module", name=name))
        library = name.partition(".")[0]
        assert (
            said == f"{library} is not installed: pip install 'gpsattn-jax[{extra}]'."
        )
    assert explain(ImportError("as it is")) == "as it is"


def test_extras_bring_what_they_are_said_to():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
    for library, extra in EXTRAS.items():
        wanted = packages.get(library, library.replace("_", "-"))
        assert wanted in known["optional-dependencies"][extra]
