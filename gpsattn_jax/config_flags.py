"""Dataclass fields <-> absl flags: `--train.learning_rate=1e-4` sets that field."""

import dataclasses
import difflib
import functools
import io
import logging as standard_logging
import os
import re
import sys
import threading
import types
import typing
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

from gpsattn_jax import extras, interrupts, launch
from gpsattn_jax.configs import field_types
from gpsattn_jax.usage import (
    Usage,
    page,
    page_asked_for,
    words_as_flags,
)

launch.hush_xla()
launch.avoid_wrong_sums()
ALL_FLAGS = Usage()  # of a script that does not say which of them are the main ones
_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where an error came from.")
_PROGRAMS = flags.DEFINE_bool(
    "compilation_cache", True, "Keep compiled programs between runs."
)


def define(config_class: type) -> None:
    """Defines a flag for every field, nested dataclasses included.

    A flag that is not given leaves its field as the chosen setup has it. The help is
    the field's line in the dataclass's docstring. Fields whose metadata say
    {"flag": False} have none: others decide them.
    """
    for name, kind, text in _fields(config_class):
        if kind is bool:
            flags.DEFINE_bool(name, None, text)
        else:
            flags.DEFINE(_FieldParser(kind), name, None, text)


def define_numbers(name: str, text: str) -> flags.FlagHolder[Any]:
    """Defines a flag of its own for numbers with commas between; None if not given."""
    return flags.DEFINE(_FieldParser(tuple[float, ...]), name, None, text)


def override(config: Any, prefix: str = "") -> Any:
    """The config with the fields for which a flag was given replaced.

    Raises:
        ValueError: if the config refuses the values.
    """
    changes: dict[str, Any] = {}
    for name in field_types(type(config)):
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            changes[name] = override(value, f"{prefix}{name}.")
        elif prefix + name in flags.FLAGS and flags.FLAGS[prefix + name].present:
            changes[name] = flags.FLAGS[prefix + name].value
    return dataclasses.replace(config, **changes)


def run(
    main: Callable[[list[str]], Any],
    usage: Usage = ALL_FLAGS,
    argv: Sequence[str] | None = None,
) -> None:
    """Runs a script: near names for mistyped flags, one-line errors, clean Ctrl-C.

    Args:
        main: is called with the program's name; returns the exit status or None.
        usage: what its help says, and which flags may be given as plain words.
        argv: the program as typed, and its arguments; those of Python by default.
    """

    def guarded(argv):
        if argv[1:]:
            raise _stop(f"Not a flag: {' '.join(argv[1:])}.")
        if not wants_details():
            _hush_libraries()
        _print_any_name()
        try:
            if _PROGRAMS.value and launch.is_whole_process():
                launch.keep_programs()
            with interrupts.interruptible("Interrupted."):
                status = main(argv)
                sys.stdout.flush()
            return status
        except BrokenPipeError:
            # The reader of our lines has left, as `head` does: no message.
            _hang_up()
            return 141  # as a shell has it for SIGPIPE
        except KeyboardInterrupt as stop:
            # What says where it stopped has agreed on it with other processes, and
            # they end together.
            interrupts.leave(60 if str(stop) else 3)
            print(f"\n{str(stop) or 'Interrupted.'}", file=sys.stderr)
            return 130
        except (ValueError, OSError, ImportError, FloatingPointError) as error:
            if _TRACEBACK.value:
                raise
            print(f"Error: {extras.explain(error)}", file=sys.stderr)
            return 1

    typed = launch.typed_command() if argv is None else list(argv)
    app.run(guarded, argv=typed, flags_parser=functools.partial(_parse, usage=usage))


def wants_details() -> bool:
    """Whether the command line asks for tracebacks, or for the libraries' logs."""
    return bool(flags.FLAGS["verbosity"].present or _TRACEBACK.value)


def _print_any_name():
    """Escapes what the screen's encoding lacks: a name of a file ends no run."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _hang_up():
    """Python writes what is left when it ends, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _hush_libraries():
    """Leaves our own lines alone on the screen.

    Libraries log their steps; when a write fails, their threads each print a
    traceback, and our one line would be lost among them.
    """
    logging.set_verbosity(logging.FATAL)
    for name in ("asyncio", "orbax"):
        standard_logging.getLogger(name).setLevel(standard_logging.CRITICAL)
    threading.excepthook = lambda *_: None
    sys.unraisablehook = lambda *_: None


def refuse(config_class: type, reason: str, allowed: Collection[str] = ()) -> None:
    """Raises ValueError if a flag of one of the fields was given.

    Args:
        config_class: whose fields.
        reason: why, for the message.
        allowed: flags that may be given all the same.
    """
    present = [
        name for name, _, _ in _fields(config_class) if flags.FLAGS[name].present
    ]
    names = [name for name in present if name not in allowed]
    if names:
        raise ValueError(f"--{', --'.join(names)}: {reason}")


def _parse(argv, usage=ALL_FLAGS):
    program, *arguments = argv
    asked_for = page_asked_for(arguments)
    if asked_for:
        print(page(asked_for, program, usage))
        raise SystemExit(0)
    arguments = words_as_flags(arguments, usage.words)
    try:
        return flags.FLAGS([program, *map(_with_home, arguments)])
    except flags.UnrecognizedFlagError as error:
        near = nearest(error.flagname, list(flags.FLAGS))
        raise _stop(
            flags.UnrecognizedFlagError(error.flagname, error.flagvalue, near)
        ) from None
    except flags.Error as error:
        raise _stop(_plain(str(error))) from None


def define_workdir(of_runs: str, of_weights: str) -> None:
    """Flags `--workdir` and `--weights`, of which one must be given.

    Args:
        of_runs: help of the first.
        of_weights: help of the second.
    """
    flags.DEFINE_string("workdir", None, of_runs)
    flags.DEFINE_string("weights", None, of_weights)

    def one_of_them(found):
        if found["workdir"] is None and found["weights"] is None:
            raise flags.ValidationError(f"--workdir is missing: {of_runs}")
        if None not in found.values():
            raise flags.ValidationError(
                "--weights stands in the place of --workdir; give one of them."
            )
        return True

    flags.register_multi_flags_validator(["workdir", "weights"], one_of_them)


def _with_home(argument):
    """`--workdir=~/runs`: shells leave the ~ as it is behind an equals sign."""
    flag, equals, value = argument.partition("=")
    if flag.startswith("-") and (value == "~" or value.startswith("~/")):
        return flag + equals + os.path.expanduser(value)
    return argument


def _plain(text):
    """Absl's words for a required flag that is missing, in ours."""
    text = re.sub(r"^flags workdir=.*?, weights=.*?: ", "", text)

    def words(found):
        return f"--{found[1]} is missing: {flags.FLAGS[found[1]].help}"

    return re.sub(r"flag --(\S+)=None: Flag .* other than None\.", words, text)


def _stop(error):
    return SystemExit(f"Error: {error}\nTry --help for the flags.")


def nearest(name: str, known: list[str]) -> list[str]:
    """The known names nearest to a mistyped one, to its last part or initials."""
    by_last = {flag.split(".")[-1]: flag for flag in known}
    typed = name.split(".")[-1]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.7)
    near += [by_last[n] for n in difflib.get_close_matches(typed, by_last, 3, 0.6)]
    near += [
        flag
        for last, flag in by_last.items()
        if "_" in last and "".join(word[:1] for word in last.split("_")) == typed
    ]
    return list(dict.fromkeys(near))[:3]


class _FieldParser(flags.ArgumentParser):
    """Text -> int, float, str, a tuple of them, or None where the type allows it."""

    def __init__(self, kind: Any) -> None:
        self._optional = False
        if isinstance(kind, types.UnionType):
            self._optional = True
            kind = next(k for k in typing.get_args(kind) if k is not types.NoneType)
        self._many = typing.get_origin(kind) is tuple
        self._kind = typing.get_args(kind)[0] if self._many else kind

    def parse(self, argument):
        if not isinstance(argument, str):
            return argument
        if self._optional and argument.lower() == "none":
            return None
        if not self._many:
            return self._parse_one(argument)
        if self._kind is not str:  # there brackets may belong to a pattern
            argument = argument.strip("()[] ")
        if not argument:  # as in --model.motions=
            return ()
        parts = argument.rstrip(",").split(",")
        return tuple(self._parse_one(part.strip()) for part in parts)

    def _parse_one(self, text):
        if self._kind is bool:
            return flags.BooleanParser().parse(text)
        try:
            return self._kind(text.replace("_", "") if self._kind is int else text)
        except ValueError:
            kind = "a whole number" if self._kind is int else "a number"
            raise ValueError(f"must be {kind}; got {text!r}.") from None

    def flag_type(self):
        one = self._kind.__name__
        return f"{one},{one},…" if self._many else one


def _fields(config_class: Any, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(flag name, type, help) of every field, depth first."""
    without = {f.name for f in dataclasses.fields(config_class) if not _has_flag(f)}
    for name, kind in field_types(config_class).items():
        if name in without:
            continue
        if dataclasses.is_dataclass(kind):
            yield from _fields(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, kind, _help(config_class, name)


def _has_flag(field):
    return field.metadata.get("flag", True)


def _help(config_class: Any, name: str) -> str:
    """The field's entry under `Attributes:` in the docstring, on one line."""
    # It ends with the next field, whose name stands as far to the right; a word with a
    # colon in the middle of an entry is no field.
    entry = re.search(
        rf"^( +){name}: (.*?)(?=^\1\w+: |^\s*$|\Z)",
        config_class.__doc__ or "",
        re.MULTILINE | re.DOTALL,
    )
    return " ".join(entry[2].split()) if entry else ""
