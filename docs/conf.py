"""The docs site: Sphinx reads pages where they lie, so the source is the repository.

`python3 dev.py docs` builds it into `site/`. Pages are Markdown that a code host shows
as well; formulas become MathML while the site is built, so no script is fetched.
"""

import dataclasses
import pathlib
import re
import shutil
import sys

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from myst_nb.sphinx_ext import OUTPUT_FOLDER as NOTEBOOK_OUTPUTS
from sphinx.util import logging

LOG = logging.getLogger(__name__)
ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gpsattn_jax import __version__

project = "gpsattn_jax"
author = "the authors of gpsattn_jax"
release = version = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = [
    "CHANGELOG.md",
    "docs/**.md",
    "benchmarks/RESULTS.md",
    "colabs/*.ipynb",
    "gpsattn_jax/pretrained/*.md",
]
exclude_patterns = [".*", "runs", "site", "build", "dist"]

# Pages.
FRONT_DOOR = """<!doctype html>
<meta http-equiv="refresh" content="0; url=docs/index.html">
<a href="docs/index.html">gpsattn_jax</a>
"""
html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"gpsattn_jax {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#b5452c",
        "color-brand-content": "#9a3a24",
    },
    "dark_css_variables": {
        "color-brand-primary": "#e58a72",
        "color-brand-content": "#f0a48f",
    },
}
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_copy_empty_lines = False

LONG = 400  # characters of a signature
# Reference. A single backtick in our docstrings is code, as in Markdown.
default_role = "code"
autodoc_default_options = {
    "members": True,
    "member-order": "groupwise",
    "no-value": True,
}
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False  # what we return is a sentence, not a type
nitpicky = True
# Types of fields that no page lists: other libraries', and our own inner ones.
nitpick_ignore_regex = [
    ("py:class", r"(numpy|jax|flax|optax|collections|typing)\..*"),
    ("py:class", r"gpsattn_jax(\.\w+){3,}"),
    ("py:class", r".*<class .*"),
]


def docstring_as_rst(app, what, name, thing, options, lines):
    """Our docstrings are plain text: what RST would read into them is escaped.

    Tables that a room's docstring indents stay as they are laid out.
    """
    text = "\n".join(lines)
    if what == "module":
        text = re.sub(r"(?m)(?:^ {4}.*\n?)+", _as_it_is, text)
    else:  # |x| is a magnitude
        text = text.replace("|", r"\|")
    lines[:] = text.split("\n")


def _as_it_is(found):
    return f"\n.. code-block:: text\n\n{found[0]}\n"


def shorten_signature(app, what, name, thing, options, signature, returned):
    """Of a config of configs the fields alone: their defaults would fill a page."""
    if what == "class" and signature and len(signature) > LONG:
        fields = [field.name for field in dataclasses.fields(thing)]
        return f"(*, {', '.join(fields)})", returned
    return None


def write_formula(self, node):
    """Writes a formula as MathML, which browsers draw by themselves."""
    as_block = node.tagname == "math_block"
    try:
        mathml = latex2mathml.tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        LOG.warning("%s in %s", error, node.astext(), location=node)
        mathml = ""
    self.body.append(f'<div class="formula">{mathml}</div>' if as_block else mathml)
    raise nodes.SkipNode


def gather_external_links(app, doctree, page):
    """Keeps the addresses outside of the site; nothing is fetched to try them."""
    for node in doctree.findall(nodes.reference):
        address = node.get("refuri", "")
        if address.startswith(("http://", "https://")):
            app.env.external_links.setdefault(address, set()).add(page)


def begin(app):
    """Makes room for what `gather_external_links` finds in the pages that are read."""
    app.env.external_links = getattr(app.env, "external_links", {})


def finish(app, failure):
    """Writes what stands beside the pages, once they are there.

    `site/index.html` leads to the landing page, which lies in `docs/`;
    `site/external_links.txt` lists addresses of other sites, with the pages that have
    them. MyST-NB's folder of outputs, of which there are none, goes.
    """
    if failure is not None or app.builder.name != "html":
        return
    folder = pathlib.Path(app.outdir)
    shutil.rmtree(folder.parent / NOTEBOOK_OUTPUTS, ignore_errors=True)
    (folder / "index.html").write_text(FRONT_DOOR)
    links = sorted(app.env.external_links.items())
    lines = [f"{address}  {', '.join(sorted(pages))}" for address, pages in links]
    (folder / "external_links.txt").write_text("\n".join(lines) + "\n")


def setup(app):
    """Registers the functions above; Sphinx calls it first."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("autodoc-process-docstring", docstring_as_rst)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("builder-inited", begin)
    app.connect("doctree-resolved", gather_external_links)
    app.connect("build-finished", finish)
