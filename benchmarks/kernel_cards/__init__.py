"""Cards of the kernels: equation, shapes, cost, use, and what each attends to."""

from benchmarks.kernel_cards.attention import ATTENTION
from benchmarks.kernel_cards.distances import DISTANCES
from benchmarks.kernel_cards.others import CONVOLUTIONS, SEQUENCES
from benchmarks.kernel_cards.positions import POSITIONS

GROUPS = {
    "Softmax, content, channels": ATTENTION,
    "Attention by distance, and the family": DISTANCES,
    "Positions as a bias": POSITIONS,
    "Convolutions": CONVOLUTIONS,
    "Maps and sequences": SEQUENCES,
}
CARDS = {card.name: card for cards in GROUPS.values() for card in cards}
