"""What a command's help says: a page that fits a screen, and one with all flags."""

import dataclasses
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from absl import flags

WIDTH = 80
COLUMN = 28  # where the flags' help begins
SHORT_LINES = 2  # of each flag's help on the short page
# What absl calls the kinds of values -> what stands behind a flag's equals sign.
KINDS = {
    "comma separated list of strings": "A,B,…",
    "str": "TEXT",
    "string": "TEXT",
    "string enum": "WORD",
    "float": "FLOAT",
    "int": "INT",
}
PAGES = {"-h": "short", "--help": "short", "--helpfull": "full"}
PAGES |= {name[1:]: page for name, page in PAGES.items() if name.startswith("--")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command's help needs beside its flags.

    Attributes:
        text: what the command does; examples, in which PROGRAM is what was typed.
        words: flags that plain words stand for, in this order: `in.mp4 out.mp4`.
        main: flags of the short page, in this order, those of `words` first.
    """

    text: str = ""
    words: tuple[str, ...] = ()
    main: tuple[str, ...] = ()


def page_asked_for(arguments: Iterable[str]) -> str:
    """Which page of help the arguments ask for: short, full, or none ("")."""
    return next((PAGES[a] for a in arguments if a in PAGES), "")


def page(name: str, program: str, usage: Usage) -> str:
    """A page of help.

    Args:
        name: short or full.
        program: what was typed before the first argument.
        usage: of the command.
    """
    words = "".join(f" {word.upper()}" for word in usage.words)
    text = usage.text.strip().replace("PROGRAM", program)
    head = [f"Usage: {program}{words} [--FLAG=VALUE ...]", "", text, ""]
    parts = _short_page if name == "short" else _full_page
    return "\n".join([*head, *parts(usage)])


def words_as_flags(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """`in.mp4 out.mp4` -> `--video=in.mp4 --output=out.mp4`; flags stay as they are.

    Words beyond the names come last, as they are.

    Args:
        arguments: of the command line, without the program.
        names: of the flags that words stand for.
    """
    found: list[str] = []
    words: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            words += rest
        elif not argument.startswith("-") or argument == "-":
            words.append(argument)
        else:
            found.append(argument)
            if _takes_the_next(argument):
                found += [value for value in [next(rest, None)] if value is not None]
    pairs = zip(names, words, strict=False)
    return [*found, *(f"--{n}={w}" for n, w in pairs), *words[len(names) :]]


def _takes_the_next(argument):
    """Whether a flag's value is the next argument: `--output out.mp4`."""
    name = argument.lstrip("-")
    return name in flags.FLAGS and not flags.FLAGS[name].boolean


def _short_page(usage):
    for name in dict.fromkeys([*usage.words, *usage.main]) or _own_flags():
        yield from _lines(flags.FLAGS[name], SHORT_LINES)
    count = len(list(_own_flags()))
    yield ""
    yield f"--helpfull lists all {count} flags, by what they are for."


def _full_page(usage):
    groups: dict[str, list[str]] = {}
    for name in _own_flags():
        groups.setdefault(name.rpartition(".")[0], []).append(name)
    for group, names in sorted(groups.items()):
        yield f"{group}:" if group else "The command:"
        for name in names:
            yield from _lines(flags.FLAGS[name], None)
        yield ""
    others = sorted(set(flags.FLAGS) - {n for names in groups.values() for n in names})
    yield from textwrap.wrap(
        "Of libraries: " + ", ".join(f"--{name}" for name in others), WIDTH,
        break_on_hyphens=False,
    )  # fmt: skip


def _own_flags() -> Iterator[str]:
    """Names of the flags that this project defines, in order."""
    for name in sorted(flags.FLAGS):
        module = str(flags.FLAGS.find_module_defining_flag(name))
        if module.startswith("gpsattn_jax"):
            yield name


def _lines(flag: flags.Flag[Any], most: int | None) -> list[str]:
    """A flag's entry; the help, but not its choices, is cut behind that many lines."""
    kind = flag.parser.flag_type()
    left = f"  --{'[no]' if flag.boolean else ''}{flag.name}"
    left += "" if flag.boolean else f"={KINDS.get(kind, kind.upper())}"
    choices = getattr(flag.parser, "enum_values", None)
    right = _wrap(_help(flag), most)
    right += _wrap(f"One of {', '.join(choices)}.", None) if choices else []
    if len(left) < COLUMN - 1 and right:
        left = f"{left:<{COLUMN}}{right.pop(0)}"
    return [left, *(f"{'':{COLUMN}}{line}" for line in right)]


def _wrap(text, most):
    return textwrap.wrap(
        text, WIDTH - COLUMN, max_lines=most, placeholder=" …", break_on_hyphens=False
    )


def _help(flag):
    """The help without what absl adds to it; the default, where there is one."""
    text = re.sub(
        r"^<[^>]*>: |;\s*repeat this option.*", "", flag.help, flags=re.DOTALL
    )
    text = " ".join(text.split())
    if flag.default in (None, "", [], False, True):
        return text
    return f"{text} Default: {flag.default_as_str.strip(chr(39))}."
