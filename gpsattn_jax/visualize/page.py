"""One HTML page with pictures and tables; opens from a file, needs nothing else."""

import base64
import html
import pathlib
from collections.abc import Sequence

STYLE = """
:root { color-scheme: light dark; --ink: #1d2330; --paper: #fff; --line: #e6e8ec; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7ee; --paper: #15181e; --line: #333a46; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
       background: var(--paper); max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; }
table { border-collapse: collapse; } th { font-weight: 600; text-align: left; }
td, th { padding: .25rem 1.5rem .25rem 0; border-bottom: 1px solid var(--line); }
td + td { font-variant-numeric: tabular-nums; text-align: right; }
img { max-width: 100%; box-sizing: border-box; background: #fff; padding: .5rem;
      border-radius: .25rem; } p { max-width: 44rem; }
"""


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text -> an HTML table; the first row is the head."""
    head, *body = [[html.escape(cell) for cell in row] for row in rows]
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
    lines += [
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body
    ]
    return "<table>" + "\n".join(lines) + "</table>"


def picture(path: pathlib.Path, words: str) -> str:
    """A PNG as a part of the page itself, with a sentence on what it shows."""
    data = base64.b64encode(path.read_bytes()).decode()
    words = html.escape(words)
    return f'<p>{words}</p><img alt="{words}" src="data:image/png;base64,{data}">'


def write_page(
    path: pathlib.Path, title: str, sections: Sequence[tuple[str, str]]
) -> pathlib.Path:
    """Writes a page and returns its path.

    Args:
        path: of the HTML file.
        title: of the page.
        sections: (heading, HTML) of each.
    """
    body = "\n".join(f"<h2>{html.escape(head)}</h2>\n{text}" for head, text in sections)
    title = html.escape(title)
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}'
        f"</title><style>{STYLE}</style></head><body><h1>{title}</h1>\n{body}</body></html>\n",
        encoding="utf-8",
    )
    return path
