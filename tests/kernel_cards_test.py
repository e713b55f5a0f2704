"""The cards of the kernels: one for each, their text as written now, their formulas."""

import pathlib
import re

import jax
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plot)")

from benchmarks.kernel_cards import CARDS, GROUPS
from benchmarks.kernel_cards.costs import Cost, measure
from benchmarks.kernel_cards.pages import COMPILED, text_of, text_of_index
from gpsattn_jax import kernels
from gpsattn_jax.flops import count_flops

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "kernels"
TABLES = {"POSITION_BIASES", "POSITION_ENCODINGS"}
each_card = pytest.mark.parametrize("card", CARDS.values(), ids=CARDS.keys())


def test_every_kernel_has_a_card():
    assert set(CARDS) == set(kernels.__all__) - TABLES
    assert (FOLDER / "index.md").read_text() == text_of_index(GROUPS.items())
    pages = {path.stem for path in FOLDER.glob("*.md")}
    assert (
        pages == {*CARDS, "index"} == {p.stem for p in FOLDER.glob("*.png")} | {"index"}
    )


@each_card
def test_its_text_is_what_the_script_writes(card):
    written = (FOLDER / f"{card.name}.md").read_text().splitlines()
    now = text_of(card, Cost(flops=0, bytes=0, temporaries=0)).splitlines()
    # What XLA counts differs by JAX's version: the rows are there, not the same.
    pairs = zip(written, now, strict=True)
    differ = [(a, b) for a, b in pairs if a != b and not b.startswith(COMPILED)]
    assert not differ


@each_card
def test_its_shapes_and_formula_are_the_kernel_s(card):
    out = jax.eval_shape(card.call, *card.inputs())
    assert out.shape == tuple(map(card.size, card.out.split()))
    counted = count_flops(card.call, *card.inputs())
    if counted:
        assert card.operations() == counted  # of matmuls and convolutions
        return
    # Taps are not counted in the trace: beside what XLA counted, softmax included.
    page = (FOLDER / f"{card.name}.md").read_text()
    compiled = int(
        re.search(rf"{re.escape(COMPILED)} ([\d,]+)", page)[1].replace(",", "")
    )
    assert card.operations() <= 1.2 * compiled


def test_what_is_measured_is_the_compiled_program():
    cost = measure(CARDS["attention_weights"])
    work = CARDS["attention_weights"].operations()
    assert work < cost.flops < 1.3 * work  # the softmax is not in the formula
    assert cost.bytes >= 4 * CARDS["attention_weights"].numbers()
