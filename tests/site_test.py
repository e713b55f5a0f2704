"""The docs site: it builds without a warning, with its formulas and list of links."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# Half a minute of a core; documents_test.py looks at links between files in no time.
pytestmark = pytest.mark.slow
PACKAGES = (
    "sphinx", "furo", "myst_nb", "sphinx_copybutton", "av", "h5py", "matplotlib",
)  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site's folder, built as `python3 dev.py docs` builds it."""
    for name in PACKAGES:
        pytest.importorskip(name, reason=f"needs {name} (extras: docs, video, plot)")
    folder = tmp_path_factory.mktemp("site")
    flags = ["--fail-on-warning", "--keep-going", "--quiet", "--conf-dir", "docs"]
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", *flags, ".", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return folder


def test_every_page_is_there(site):
    pages = [*ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/RESULTS.md"]
    missing = [
        page for page in pages
        if not (site / page.relative_to(ROOT)).with_suffix(".html").is_file()
    ]  # fmt: skip
    assert len(pages) > 60 and not missing
    assert "docs/index.html" in (site / "index.html").read_text()


def test_formulas_need_no_script(site):
    page = (site / "docs/explanation/mechanisms.html").read_text()
    assert page.count("<math") > 15 and "cdn." not in page


def test_the_reference_is_made_of_the_docstrings(site):
    page = (site / "docs/reference/kernels.html").read_text()
    assert 'id="gpsattn_jax.kernels.content_attention"' in page
    assert "Global attention without a [T, S] matrix" in page


def test_addresses_of_other_sites_are_listed(site):
    lines = (site / "external_links.txt").read_text().splitlines()
    assert len(lines) > 10
    assert all(line.startswith(("http://", "https://")) for line in lines)
    assert any(line.endswith("  docs/comparison") for line in lines)


def test_a_dead_link_is_an_error(site, tmp_path):
    del site  # skips where Sphinx is not
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Page\n\n[gone](nowhere.md#at-all)\n")
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", "-c", str(ROOT / "docs"),
         str(tmp_path), str(tmp_path / "site")],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert made.returncode != 0 and "nowhere.md" in made.stderr
