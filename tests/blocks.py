"""The fenced blocks of a page, and the commands in them."""

import dataclasses
import re
import shlex

FENCED = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"(not run|run with|needs): (.+)")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        kind: its language: sh, text, python, …
        text: what is in it.
        mark: how the comment before it begins: "not run", "run with", "needs" or "".
        said: what the comment says after that.
        line: of the page, from 1.
    """

    kind: str
    text: str
    mark: str
    said: str
    line: int


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of a block.

    Attributes:
        words: without variables before it and without what shells read.
        answer: in a transcript, the line that follows it.
    """

    words: tuple[str, ...]
    answer: str = ""


def blocks_of(page):
    """All blocks of a page's text, in order.

    Raises:
        ValueError: if a comment before a block is none of the marks.
    """
    found = []
    for match in FENCED.finditer(page):
        mark = MARK.fullmatch(match["mark"] or "")
        if match["mark"] and not mark:
            raise ValueError(f"a block's comment must be a mark; got {match['mark']!r}")
        line = page[: match.start("kind")].count("\n") + 1
        kind, said = (mark[1], mark[2]) if mark else ("", "")
        found.append(Block(match["kind"], match["text"], kind, said, line))
    return found


def commands_of(block):
    """The commands of a block: all lines of `sh`, those after $ of a transcript."""
    if block.kind in ("sh", "bash"):
        lines = block.text.replace("\\\n", " ").splitlines()
        return [one for line in lines for one in _split(line, "")]
    lines = block.text.splitlines() if block.kind == "text" else []
    following = [*lines[1:], ""][: len(lines)]
    return [
        one
        for line, answer in zip(lines, following, strict=True)
        if line.startswith("$ ")
        for one in _split(line[2:], answer)
    ]


def _split(line, answer):
    """The commands of a line, which pipes and & divide."""
    words = shlex.split(line.replace(" …", ""), comments=True)
    commands, current = [], []
    for word in [*words, "|"]:
        if word not in ("|", "&", "&&"):
            current.append(word)
            continue
        while current and re.fullmatch(r"[A-Z_]+=.*", current[0]):
            current.pop(0)
        if current:
            commands.append(Command(tuple(current), answer))
        current = []
    return commands
