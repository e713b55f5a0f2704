"""Every cell of every notebook runs, on small settings; none is stored with outputs."""

import json
import pathlib

import pytest

from colabs.address import addressed, repository

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "colabs").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_are_stored(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_badges_and_first_cells_have_the_repository_s_address(path):
    notebook, address = json.loads(path.read_text()), repository()
    assert notebook == addressed(notebook, path.name, address)
    badge, install = ("".join(cell["source"]) for cell in notebook["cells"][:2])
    owner = address.removeprefix("https://github.com/")
    assert f"/github/{owner}/blob/main/colabs/{path.name})" in badge
    assert f" @ git+{address}" in install
    other = addressed(notebook, path.name, "https://github.com/somebody/copy")
    assert "/github/somebody/copy/blob/" in other["cells"][0]["source"][0]


@pytest.mark.slow
@pytest.mark.usefixtures("hurried_processes")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient (extra: test)")
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient (extra: test)")
    needed = ["sklearn", "matplotlib"] + ["av", "h5py"] * (path.stem == "pglsum")
    for name in needed:
        pytest.importorskip(name, reason=f"needs {name} (extras: data, plot, video)")
    monkeypatch.setenv("GPSATTN_STEPS", "2")
    monkeypatch.setenv("GPSATTN_WORKDIR", str(tmp_path / "run"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    last = notebook.cells[-1]["outputs"]
    assert any("image/png" in output.get("data", {}) for output in last)
