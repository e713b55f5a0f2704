"""release.py on a small repository: what it refuses, and that it tags what is good."""

import importlib.util
import pathlib
import subprocess
import sys
import zipfile

import pytest

PATH = pathlib.Path(__file__).parents[1] / "release.py"
FILES = {
    "gpsattn_jax/__init__.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## [1.2.3] - 2030-01-31\n",
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.3\n",
    "pyproject.toml": (
        '[build-system]\nrequires = ["setuptools"]\n'
        'build-backend = "setuptools.build_meta"\n'
        '[project]\nname = "gpsattn-jax"\nversion = "1.2.3"\n'
        '[tool.setuptools]\npackages = ["gpsattn_jax"]\n'
    ),
}


@pytest.fixture
def release():
    spec = importlib.util.spec_from_file_location("release_under_test", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def root(tmp_path, release, monkeypatch):
    """A repository whose one commit can be released."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "a")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")
    release.git(tmp_path, "init", "--quiet")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    commit(release, tmp_path)
    return tmp_path


def commit(release, root):
    release.git(root, "add", "--all")
    release.git(root, "commit", "--quiet", "--message", "All.")


def test_a_good_commit_has_its_version(release, root):
    assert release.check(root) == "1.2.3"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "CHANGELOG.md",
            "## [1.2.3] - Unreleased\n",
            'heading "## .1.2.3. - YEAR',
        ),
        ("CHANGELOG.md", "## [1.2.30] - 2030-01-31\n", "CHANGELOG.md must have"),
        ("CITATION.cff", "version: 1.2.2\n", 'CITATION.cff must have "version: 1.2.3"'),
    ],
)
def test_a_version_that_is_not_written_down_is_refused(
    release, root, name, text, message
):
    (root / name).write_text(text)
    with pytest.raises(SystemExit, match=f"working tree must be clean; got\nM {name}"):
        release.check(root)
    commit(release, root)
    with pytest.raises(SystemExit, match=message):
        release.check(root)


def test_a_version_is_tagged_once(release, root):
    release.tag(root, "1.2.3")
    assert release.git(root, "cat-file", "-t", "v1.2.3") == "tag"
    with pytest.raises(SystemExit, match=r"v1\.2\.3 is tagged already"):
        release.check(root)


def test_what_is_built_is_what_is_committed(release, root, monkeypatch):
    """Without an environment of its own, which would be fetched."""
    pytest.importorskip("build", reason="needs build (extra: dev)")
    run = release.run

    def here(command, folder):
        alone = ["--no-isolation"] if "build" in command else []
        return run([*command, *alone], folder)

    monkeypatch.setattr(release, "run", here)
    (root / "gpsattn_jax" / "left_over.py").write_text("")
    wheel, sources = release.build(root, root / "dist")
    assert (wheel.parent, sources.name) == (root / "dist", "gpsattn_jax-1.2.3.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if "dist-info" not in n]
    assert names == ["gpsattn_jax/__init__.py"]


@pytest.mark.parametrize(("arguments", "tags"), [(["--dry_run"], ""), ([], "v1.2.3")])
def test_a_dry_run_makes_no_tag(release, root, monkeypatch, capsys, arguments, tags):
    tried = []
    monkeypatch.setattr(release, "ROOT", root)
    monkeypatch.setattr(release, "build", lambda root, dist: (dist / "a", dist / "b"))
    monkeypatch.setattr(release, "try_wheel", lambda *found: tried.append(found))
    monkeypatch.setattr(sys, "argv", ["release.py", *arguments])
    release.main()
    assert tried == [(root / "dist" / "a", "1.2.3")]
    assert release.git(root, "tag", "--list") == tags
    said = capsys.readouterr().out
    assert ("Nothing is tagged." in said) == (not tags)
    assert ("git push origin v1.2.3" in said) == bool(tags)


def test_a_command_that_fails_stops_with_its_words(release, tmp_path):
    with pytest.raises(SystemExit, match="failed:\nno wheel"):
        release.run([sys.executable, "-c", "exit('no wheel')"], tmp_path)
    subprocess.run([sys.executable, str(PATH), "--help"], check=True)
