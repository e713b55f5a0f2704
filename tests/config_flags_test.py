"""Flags made from dataclass fields, and dataclasses made from dicts."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
from absl import flags

from gpsattn_jax import config_flags
from gpsattn_jax.configs import from_dict
from gpsattn_jax.systems import gsanet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """A part.

    Attributes:
        rate: how fast,
            in examples a second.
        widths: of each group.
        window: None for all.
        switches: one for each group.
        deep: or shallow.
    """

    rate: float = 0.1
    widths: tuple[int, ...] = (1, 2)
    window: int | None = None
    switches: tuple[bool, ...] = (True,)
    deep: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Whole:
    """A whole."""

    part: Part = Part()
    name: str = "a"


@pytest.fixture
def parse(monkeypatch):
    """Arguments -> flags, on flags of this test's own."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    for name in ("DEFINE", "DEFINE_bool"):
        original = getattr(flags, name)
        monkeypatch.setattr(
            flags, name, lambda *a, _define=original: _define(*a, flag_values=values)
        )
    config_flags.define(Whole)
    return lambda *arguments: config_flags._parse(["test", *arguments])


def test_flags_replace_only_their_own_fields(parse):
    parse("--part.widths=3,4,5", "--part.window=7", "--nopart.deep", "--name=b")
    config = config_flags.override(Whole(part=Part(rate=0.5, window=3)))
    assert config == Whole(
        part=Part(rate=0.5, widths=(3, 4, 5), window=7, deep=False), name="b"
    )


def test_none_and_tuples_of_booleans(parse):
    parse("--part.window=none", "--part.switches=true,false", "--part.rate=1e-4")
    config = config_flags.override(Whole(part=Part(window=3)))
    assert config.part == Part(rate=1e-4, switches=(True, False))


def test_help_is_the_docstring_s_line(parse):
    assert flags.FLAGS["part.rate"].help == "how fast, in examples a second."
    assert flags.FLAGS["part.deep"].help == "or shallow."


def test_help_is_whole_where_a_line_begins_with_a_word_and_a_colon():
    @dataclasses.dataclass
    class Parted:
        """Some fields.

        Attributes:
            fold: part of the clips that is held out while
                training: a person, or a fifth.
            other: another.
        """

        fold: int = 0
        other: int = 0

    texts = [text for _, _, text in config_flags._fields(Parted)]
    assert texts == [
        "part of the clips that is held out while training: a person, or a fifth.",
        "another.",
    ]


def test_a_required_flag_that_is_missing_is_named_with_its_help():
    script = (
        "from absl import flags\n"
        "from gpsattn_jax import config_flags\n"
        "flags.DEFINE_string('output', None, 'The file to write.', required=True)\n"
        "config_flags.run(lambda _: None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr == (
        "Error: --output is missing: The file to write.\nTry --help for the flags.\n"
    )


@pytest.mark.parametrize("wrong", ["--part.widths=3,x", "--part.rate=fast"])
def test_a_value_of_the_wrong_type_names_the_flag(parse, wrong):
    with pytest.raises(SystemExit, match=wrong.split("=")[0][2:]):
        parse(wrong)


@pytest.mark.parametrize("typed", ["part.rat", "train.rate", "pat.rate", "rate"])
def test_mistyped_field_is_answered_with_the_nearest(parse, typed):
    with pytest.raises(SystemExit, match="Did you mean: part.rate"):
        parse(f"--{typed}=3")


def test_initials_find_a_name():
    known = ["train.learning_rate", "train.num_steps", "lines"]
    assert config_flags.nearest("train.lr", known) == ["train.learning_rate"]
    assert config_flags.nearest("qqq", known) == []


def test_flags_that_would_be_ignored_are_refused(parse):
    parse("--part.rate=3")
    with pytest.raises(ValueError, match="--part.rate: not here"):
        config_flags.refuse(Whole, "not here")


def test_configs_survive_json():
    config = gsanet.SETUPS["digits"]
    text = json.dumps(dataclasses.asdict(config))
    assert from_dict(gsanet.Config, json.loads(text)) == config


def test_unknown_field_is_named():
    with pytest.raises(ValueError, match="has no field part.colour"):
        from_dict(Whole, {"part": {"colour": 3}})


def test_every_field_of_the_system_s_config_has_help():
    for name, _, text in config_flags._fields(gsanet.Config):
        assert text, name


def test_a_reader_that_leaves_is_no_error():
    """As `head` does; the shell's status of SIGPIPE tells it."""
    script = (
        "from gpsattn_jax import config_flags\n"
        "config_flags.run(lambda _: [print('line') for _ in range(100_000)] and None)"
    )
    command = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_the_home_folder_behind_an_equals_sign(parse, monkeypatch):
    """Shells expand `--name ~/runs`, but not `--name=~/runs`."""
    monkeypatch.setenv("HOME", "/home/anna")
    for given, expected in (
        ("~/runs", "/home/anna/runs"), ("~", "/home/anna"), ("a~/b", "a~/b"),
        ("./~/runs", "./~/runs"), ("~.mp4", "~.mp4"),
    ):  # fmt: skip
        parse(f"--name={given}")
        assert config_flags.override(Whole()).name == expected


def test_a_name_that_the_screen_cannot_show_is_escaped():
    """Of a file with bytes that are no UTF-8, or on a terminal of another encoding."""
    script = (
        "from gpsattn_jax import config_flags\n"
        "config_flags.run(lambda _: print('caf\\udce9', '\\u732b'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout) == (0, "caf\\udce9 \\u732b\n")
