#!/usr/bin/env python3
"""Builds a release from the commit at hand, tries its wheel, and tags it.

.venv/bin/python release.py --dry_run   all but the tag
.venv/bin/python release.py

It pushes and uploads nothing, and prints how. It needs the package `build`.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parent
# What the wheel has to do in an environment that has nothing else.
TRIALS = (
    ["--version"],
    ["pretrained", "gsanet-digits"],
    ["info", "gsanet-digits"],
)


def main() -> None:
    """Does all steps, or stops at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dry_run", action="store_true", help="make no tag")
    dry_run = parser.parse_args().dry_run
    version = check(ROOT)
    wheel, *_ = built = build(ROOT, ROOT / "dist")
    try_wheel(wheel, version)
    if not dry_run:
        tag(ROOT, version)
    print("\n".join(["", f"{version} is good." + " Nothing is tagged." * dry_run]))
    if not dry_run:
        files = " ".join(str(path.relative_to(ROOT)) for path in built)
        print(f"To publish it:\n  git push origin v{version}\n  twine upload {files}")


def check(root: pathlib.Path) -> str:
    """The version that the commit at hand can be released as.

    Raises:
        SystemExit: if the tree is not clean, the version's tag is there, or the
            changelog or CITATION.cff does not have it.
    """
    changed = git(root, "status", "--porcelain")
    if changed:
        stop(f"the working tree must be clean; got\n{changed}")
    package = (root / "gpsattn_jax" / "__init__.py").read_text()
    version = re.search(r'^__version__ = "(.+)"$', package, re.MULTILINE)[1]
    if git(root, "tag", "--list", f"v{version}"):
        stop(f"v{version} is tagged already: set another __version__.")
    changelog = (root / "CHANGELOG.md").read_text()
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE
    ):
        stop(f'CHANGELOG.md must have the heading "## [{version}] - YEAR-MONTH-DAY".')
    if f"\nversion: {version}\n" not in (root / "CITATION.cff").read_text():
        stop(f'CITATION.cff must have "version: {version}".')
    return version


def build(root: pathlib.Path, folder: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """(wheel, source distribution), of what is committed and of nothing else."""
    with tempfile.TemporaryDirectory() as temporary:
        sources = pathlib.Path(temporary)
        archive = sources / "sources.tar"
        git(root, "archive", f"--output={archive}", "HEAD")
        with tarfile.open(archive) as file:
            file.extractall(sources / "tree", filter="data")
        run([sys.executable, "-m", "build", "--outdir", "dist", "."], sources / "tree")
        folder.mkdir(exist_ok=True)
        made = sources / "tree" / "dist"
        paths = [next(made.glob(pattern)) for pattern in ("*.whl", "*.tar.gz")]
        return tuple(pathlib.Path(shutil.copy(path, folder)) for path in paths)


def try_wheel(wheel: pathlib.Path, version: str) -> None:
    """Installs the wheel into an empty environment and runs it in another folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        venv.create(folder / "env", with_pip=True)
        scripts = folder / "env" / "bin"
        run([str(scripts / "python"), "-m", "pip", "install", "-q", str(wheel)], folder)
        for arguments in TRIALS:
            out = run([str(scripts / "gpsattn"), *arguments], folder)
            print(f"gpsattn {' '.join(arguments)}: {out.splitlines()[0]}", flush=True)
            if arguments == ["--version"] and f"gpsattn {version} " not in out:
                stop(f"the wheel must be {version}; it says {out}")


def tag(root: pathlib.Path, version: str) -> None:
    """An annotated tag on the commit at hand."""
    git(root, "tag", "--annotate", f"v{version}", "--message", f"gpsattn_jax {version}")


def git(root, *arguments):
    """What git prints."""
    return run(["git", *arguments], root).strip()


def run(command, folder):
    """What a command prints; where it fails, its last lines are the message."""
    done = subprocess.run(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        lines = "\n".join(done.stdout.splitlines()[-20:])
        stop(f"{' '.join(command)} failed:\n{lines}")
    return done.stdout


def stop(text):
    """Says why and ends."""
    sys.exit(f"release.py: {text}")


if __name__ == "__main__":
    main()
