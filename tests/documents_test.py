"""README and docs: no dead links, nothing left to fill in, their Python runs."""

import pathlib
import re

import jax
import pytest

from gpsattn_jax import convert
from gpsattn_jax.convert.pglsum import to_torch as pglsum_to_torch
from gpsattn_jax.convert.transxnet import to_torch
from gpsattn_jax.models import pglsum, transxnet
from gpsattn_jax.stacks import unstack

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "benchmarks/RESULTS.md",
    *ROOT.glob("docs/**/*.md"),
]

each = pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each
def test_links_within_the_repository_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_files_that_the_design_names_are_there():
    text = (ROOT / "docs/design.md").read_text()
    places = ROOT, ROOT / "gpsattn_jax", ROOT / "gpsattn_jax" / "systems"
    named = re.findall(r"`([\w/]+/\w+\.py)`", text)
    missing = [n for n in named if not any((at / n).is_file() for at in places)]
    assert len(named) > 60 and not missing


@each
def test_nothing_is_left_to_fill_in(path):
    prose = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(), flags=re.DOTALL)
    left = re.findall(r"\b(?:[A-Z]+_[A-Z]+)\b", prose)
    assert not left, left


def test_the_kernel_and_model_of_the_readme_run():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    kernel, model, mechanism, *_ = blocks
    scope: dict = {}
    exec(kernel, scope)
    assert scope["out"].shape == (8, 196, 32)
    # The model as it stands, at a size that is quick.
    small = model.replace("224", "32").replace('VARIANTS["50"]', 'VARIANTS["32px"]')
    assert small != model
    exec(small, scope)
    assert scope["logits"].shape == (1, 100)
    exec(mechanism, scope)
    params, _ = scope["network"].shapes()
    assert [set(unstack(params)["blocks"][place]["mix"]) for place in (0, 3, 6)] == [
        {"kernel"},
        {"query", "key", "value", "column_table", "row_table", "norm"},
        {"query", "key", "value", "out"},
    ]


def test_a_module_s_weights_load_as_in_the_readme(torch, gsa_pytorch, tmp_path):
    path = tmp_path / "gsa.pt"
    module = gsa_pytorch.GSA(dim=256, dim_key=32, heads=8, rel_pos_length=14)
    torch.save(module.state_dict(), path)
    *_, block, _, _ = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    scope: dict = {}
    exec(block.replace('"gsa.', f'"{tmp_path}/gsa.'), scope)
    assert scope["features"].shape == (1, 14, 14, 256)
    assert (tmp_path / "gsa.safetensors").exists()


def test_an_official_checkpoint_loads_as_in_the_readme(torch, tmp_path):
    config = transxnet.Config(
        depths=(1, 1, 1, 1), widths=(8, 16, 16, 32), num_heads=(1, 2, 2, 4),
        image_size=32, num_classes=7,
    )  # fmt: skip
    arrays = to_torch(config, *transxnet.build(config).init(jax.random.key(0)))
    path = tmp_path / "transx-t.pth.tar"
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save({"state_dict": tensors}, path)
    *_, block, _ = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    scope = {"convert": convert, "jax": jax}
    code = block.replace("transx-t.pth.tar", str(path)).replace("512, 640", "32, 40")
    exec(code, scope)
    assert [m.shape[1:] for m in scope["maps"]] == [
        (8, 10, 8), (4, 5, 16), (2, 3, 16), (1, 2, 32)
    ]  # fmt: skip


def test_released_video_weights_load_as_in_the_readme(torch, tmp_path):
    config = pglsum.Config(input_size=32)
    arrays = pglsum_to_torch(config, *pglsum.build(config).init(jax.random.key(0)))
    path = tmp_path / "epoch-83.pt"
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    *_, block = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    scope = {"convert": convert, "jax": jax}
    small = block.replace("600", "20").replace("421", "14").replace("1024", "32")
    exec(small.replace("epoch-83.pt", str(path)), scope)
    assert scope["scores"].shape == (2, 20)
    assert (scope["scores"][1, 14:] == 0).all() and (scope["scores"][1, :14] > 0).all()
