"""The text of a card."""

import re
from collections.abc import Iterable

from benchmarks.kernel_cards.card import Card
from benchmarks.kernel_cards.costs import Cost

COMPILED = "| compiled |"  # how the row begins that depends on JAX's version


def text_of(card: Card, cost: Cost) -> str:
    """A card as a page of Markdown; its picture lies beside it."""
    summary, _, rest = card.kernel.__doc__.partition("\n")
    shapes = ", ".join(
        f"`{name}` {_axes(axes)}" for name, axes in card.arguments.items()
    )
    return f"""\
# {card.name}

{summary}

$$
{card.equation}
$$

**Shapes.** {shapes} → {_axes(card.out)}.

![What {card.name} attends to]({card.name}.png)

*{card.attends}*

**When.** {card.when}

**Cost** of one call at {_sizes(card)}, float32:

| | operations | bytes |
| --- | --: | --: |
| formula | {_formula(card.work)} | 4 ({_numbers(card)}) |
| that is | {card.operations():,} | {4 * card.numbers():,} |
{COMPILED} {cost.flops:,} | {cost.bytes:,}, and {cost.temporaries:,} of temporaries |

{_how(card)}

Its arguments, options and errors stand in [the reference](../reference/kernels.md).
"""


def text_of_index(groups: Iterable[tuple[str, Iterable[Card]]]) -> str:
    """The page that lists all cards, by group."""
    lines = [INDEX]
    names = []
    for title, cards in groups:
        lines += [f"## {title}", "", "| kernel | is | costs |", "| --- | --- | --- |"]
        for card in cards:
            names.append(card.name)
            summary = card.kernel.__doc__.splitlines()[0].split(": [")[0].rstrip(".")
            work = _formula(card.work)
            lines.append(f"| [{card.name}]({card.name}.md) | {summary} | {work} |")
        lines.append("")
    toc = "\n".join(names)
    return "\n".join(lines) + f"\n```{{toctree}}\n:hidden:\n\n{toc}\n```\n"


INDEX = """\
# Kernel cards

For each kernel: its equation, its shapes, what it costs beside what XLA counts in the
compiled program, when to use it, and what it attends to on one example. One script
makes them all:

<!-- not run: it compiles and draws all; tests/kernel_cards_test.py has the text -->
```sh
python -m benchmarks.kernel_cards
```

A kernel is written for one head of one example; `jax.vmap` does the rest. The letters:
`T` queries, `S` keys, `D` their channels, `E` channels of values, `N` heads, `L` lines,
`R` rows of a table, `H W` rows and columns of an image, `C` channels, `K` size of a
convolution, `G` groups, `M` segments, `V` joints, `B` batch.

*Operations* are twice the multiply-adds of matmuls and taps; what goes element by
element (a softmax, a bias) is not in the formula, and is in XLA's count. *Bytes* by the
formula are all arrays that go in and out, each once; XLA counts what each of the
compiled instructions reads and writes.

The pictures of images are made on a handwritten 3: its pixels' 3 x 3 surroundings are
queries, keys and values, nothing is trained, and the tables of positions are simple
functions of the distance. Red weights add a pixel's value to the circled one, blue
weights subtract it.
"""


def _axes(axes: str) -> str:
    return f"[{', '.join(axes.split())}]"


def _sizes(card: Card) -> str:
    letters = sorted({*" ".join([*card.arguments.values(), card.out]).split()})
    known = [f"{a} = {card.size(a)}" for a in letters if not a.isdigit()]
    return ", ".join(known)


def _formula(work: str) -> str:
    if work == "0":
        return "no matmul"
    squares = re.sub(r"(\w)\*\*2", r"\1²", work)
    return squares.replace("*", " ")


def _numbers(card: Card) -> str:
    shapes = [axes or "1" for axes in [*card.arguments.values(), card.out]]
    return " + ".join(shapes)


def _how(card: Card) -> str:
    return card.note or "*compiled*: XLA's counts, for a processor."
