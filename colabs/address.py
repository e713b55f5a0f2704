"""Writes the repository's address into the notebooks: badges and first cells.

python -m colabs.address

`[project.urls]` in pyproject.toml is the one place that names it; a test keeps the
notebooks equal to what this writes.
"""

import json
import pathlib
import re
import tomllib

FOLDER = pathlib.Path(__file__).resolve().parent
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
OPEN = "https://colab.research.google.com/github"


def repository() -> str:
    """The address, as https://github.com/OWNER/NAME."""
    text = (FOLDER.parent / "pyproject.toml").read_text()
    return tomllib.loads(text)["project"]["urls"]["Repository"]


def addressed(notebook: dict, name: str, address: str) -> dict:
    """A notebook whose badge opens its own copy and whose first cell installs that.

    Args:
        notebook: as read from its file; its first cell is Markdown, and the first one
            of code installs the package.
        name: of its file.
        address: of the repository.

    Returns:
        The notebook, with both written anew.
    """
    title, *rest = notebook["cells"]
    owner = address.removeprefix("https://github.com/")
    place = f"{OPEN}/{owner}/blob/main/colabs/{name}"
    text = re.sub(r"\[!\[Open in Colab\].*\n\n", "", "".join(title["source"]))
    title = title | {
        "source": _lines(f"[![Open in Colab]({BADGE})]({place})\n\n{text}")
    }
    installs = next(cell for cell in rest if cell["cell_type"] == "code")
    code = re.sub(
        r'"gpsattn-jax(\[[\w,]+\]).*"(  #.*)?',
        rf'"gpsattn-jax\1 @ git+{address}"',
        "".join(installs["source"]),
    )
    rest[rest.index(installs)] = installs | {"source": _lines(code)}
    return notebook | {"cells": [title, *rest]}


def _lines(text):
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = addressed(json.loads(path.read_text()), path.name, repository())
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
