"""Goes through the rows within some minutes; goes on where it stopped.

Each row is written when it is done. What failed is told and does not stop the others;
what is done is not measured again while card, versions, library and the row's own code
are the same.
"""

import dataclasses
import gc
import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax

from benchmarks import timing
from benchmarks.accelerator import card, table
from benchmarks.accelerator.rows import BENCHMARKS, LeftOut, Row, library
from gpsattn_jax.files import replaced, write_json

FOLDER = BENCHMARKS / "cards"
COMMAND = "python3 dev.py bench --accelerator"
SECONDS = 2.0  # of timing, for a row
TINY_SECONDS = 0.05


@dataclasses.dataclass
class Session:
    """A run: its rows, their figures, its file.

    Attributes:
        rows: that are measured, the most important first.
        path: of the JSON; the table stands beside it.
        tiny: a trial on small shapes.
    """

    rows: Sequence[Row]
    path: pathlib.Path
    tiny: bool = False

    def __post_init__(self):
        self.heading = {
            "card": card.name(),
            "tiny": self.tiny,
            "library": library(),
            "versions": card.versions(),
        }
        self.machine, self.commit = timing.machine(), commit()
        self.found: dict[str, dict[str, Any]] = {}

    def resume(self, fresh: bool) -> None:
        """Takes over what an earlier run of the same has measured.

        Another one's file stays as `…-earlier.json`.

        Raises:
            ValueError: if the file is none of ours.
        """
        earlier = read(self.path) if self.path.exists() else None
        if earlier is not None and (
            fresh
            or any(earlier.get(key) != value for key, value in self.heading.items())
        ):
            kept = self.path.with_name(f"{self.path.stem}-earlier.json")
            self.path.replace(kept)
            why = "--fresh" if fresh else "other code, or other versions"
            say(f"Begins anew ({why}); what was there is in {kept.name}.")
            earlier = None
        known = {row["name"]: row for row in earlier["rows"]} if earlier else {}
        for row in self.rows:
            before = known.get(row.name, {})
            same = before.get("code") == row.fingerprint()
            state = before.get("state") if same else None
            if state == "done":
                self.found[row.name] = before
            elif state in ("started", "failed"):
                reason = before.get("reason") or "the process ended in it"
                self.record(row, "failed", reason=reason)
            else:
                self.record(row, "not reached")

    def run(self, minutes: float) -> None:
        """Measures what is not done; what failed before comes last."""
        deadline = time.monotonic() + 60 * minutes
        waiting = [row for row in self.rows if self.found[row.name]["state"] != "done"]
        waiting.sort(key=lambda row: self.found[row.name]["state"] == "failed")
        done = len(self.rows) - len(waiting)
        say(f"{self.path}: {done} of {len(self.rows)} rows are done.")
        self.write()
        for number, row in enumerate(waiting, start=done + 1):
            left = deadline - time.monotonic()
            if left <= (0 if self.tiny else row.takes):
                continue  # a shorter one may still fit
            self.measure(row)
            say(f"[{number}/{len(self.rows)}] {self.line(row)}")

    def measure(self, row: Row) -> None:
        """One row; whatever it raises is told in its line."""
        before, start = self.found[row.name], time.monotonic()
        self.record(row, "started")
        self.write()
        try:
            figures = row.measure(TINY_SECONDS if self.tiny else SECONDS)
            state = "done"
        except LeftOut as reason:
            state, figures = "left out", {"reason": str(reason)}
        except Exception as error:  # out of memory, not supported, beyond its limit
            state, figures = "failed", {"reason": card.one_line(error)}
        except BaseException:  # Ctrl-C: as if it had not been begun
            self.found[row.name] = before
            self.write()
            raise
        self.record(row, state, seconds=time.monotonic() - start, **figures)
        self.write()
        gc.collect()  # its arrays and programs leave the card
        jax.clear_caches()

    def record(self, row: Row, state: str, **figures: Any) -> None:
        """Notes the state of a row."""
        self.found[row.name] = {
            "name": row.name,
            "state": state,
            "code": row.fingerprint(),
            **figures,
        }

    def write(self) -> None:
        """JSON and table, each in one go."""
        rows = table.worst_first(self.found.values())
        document = {
            **self.heading,
            "machine": self.machine,
            "commit": self.commit,
            "command": COMMAND + (" --tiny" if self.tiny else ""),
            "rows": rows,
        }
        write_json(self.path, document)
        write_text(self.path.with_suffix(".md"), table.write(document))

    def line(self, row: Row) -> str:
        """A row for people."""
        peaks = table.roofs(self.found.values())
        name, result, _, _, others, _ = table.cells(self.found[row.name], peaks)
        return f"{name}: {result}" + (f"; others / ours: {others}" * (others != "-"))

    def summary(self) -> tuple[str, bool]:
        """(how many rows are in which state, whether all parity is within limits)."""
        states = [row["state"] for row in self.found.values()]
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        text = ", ".join(f"{count} {state}" for state, count in counts.items())
        margins = [row["margin"] for row in self.found.values() if "margin" in row]
        whole = all(margin >= 1 for margin in margins)
        return text + ("" if whole else "; PARITY BEYOND ITS LIMIT"), whole


def path_of(folder: pathlib.Path, tiny: bool) -> pathlib.Path:
    """The JSON of this card: nvidia-h200.json."""
    name = re.sub(r"[^a-z0-9]+", "-", card.name().lower()).strip("-")
    return folder / f"{name}{'-tiny' if tiny else ''}.json"


def read(path: pathlib.Path) -> dict[str, Any]:
    """An earlier run's document.

    Raises:
        ValueError: if it is none.
    """
    try:
        document = json.loads(path.read_text())
        rows = [{"name": row["name"], **row} for row in document["rows"]]
        return {**document, "rows": rows}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} must be what an earlier run wrote; got {card.one_line(error)}. "
            "Move it away and run this again."
        ) from error


def commit() -> str:
    """Git's, for people; a copy of the files has none."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(
            command, cwd=BENCHMARKS, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def write_text(path: pathlib.Path, text: str) -> None:
    """Replaces a file in one go."""
    with replaced(path) as partial:
        partial.write_text(text)


def say(text: str) -> None:
    """Prints a line to stderr."""
    print(text, file=sys.stderr, flush=True)
