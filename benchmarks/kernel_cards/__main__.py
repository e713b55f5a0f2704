r"""Writes docs/kernels: a page and a picture for each kernel, and their index.

python -m benchmarks.kernel_cards
python -m benchmarks.kernel_cards attend gelu    # these alone
"""

import pathlib
import sys

from benchmarks.kernel_cards import CARDS, GROUPS
from benchmarks.kernel_cards.costs import measure
from benchmarks.kernel_cards.drawing import write_small
from benchmarks.kernel_cards.pages import text_of, text_of_index

FOLDER = pathlib.Path(__file__).parents[2] / "docs" / "kernels"

if __name__ == "__main__":
    for name in sys.argv[1:] or CARDS:
        card = CARDS[name]
        write_small(card.draw(), FOLDER / f"{name}.png")
        (FOLDER / f"{name}.md").write_text(text_of(card, measure(card)))
        print(FOLDER / f"{name}.md")
    (FOLDER / "index.md").write_text(text_of_index(GROUPS.items()))
