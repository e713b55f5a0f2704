"""Papers beside the code: each says what the code says."""

import itertools
import pathlib
import re
import stat
import subprocess
import sys
import tomllib

import pytest

from gpsattn_jax import __main__, __version__
from gpsattn_jax.systems import named_networks

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
yaml = pytest.importorskip("yaml", reason="needs PyYAML (extra: data)")


def read(name):
    return (ROOT / name).read_text()


def test_the_version_is_everywhere_the_same():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == __version__
    assert f"\n## [{__version__}] - " in read("CHANGELOG.md")
    assert citation["license"] == PROJECT["license"]


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "CONTRIBUTING.md", "THIRD_PARTY_NOTICES.md"]
)
def test_links_and_files_that_are_named_are_there(name):
    text = read(name)
    links = re.findall(r"\]\(([^)#]+)", text)
    files = re.findall(r"`((?:gpsattn_jax|tests|\.ci)/[\w./]+)`", text)
    for target in [link for link in links if "://" not in link] + files:
        assert (ROOT / target).exists(), target


def test_the_citation_names_the_papers_of_the_readme():
    references = yaml.safe_load(read("CITATION.cff"))["references"]
    titles = {paper["title"].lower() for paper in references}
    cited = re.findall(r"\btitle\s*= \{(.+?)\}", read("README.md"), re.DOTALL)
    assert {" ".join(title.split()).lower() for title in cited} == titles


def test_the_notices_name_what_is_shipped_and_what_is_installed():
    text = read("THIRD_PARTY_NOTICES.md")
    for network in named_networks.available().values():
        assert f"| `{network.name}` |" in text and network.licence in text
    extras = PROJECT["optional-dependencies"].values()
    for requirement in [*PROJECT["dependencies"], *itertools.chain(*extras)]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert f"\n| {name} |" in text


def test_the_pythons_are_those_that_are_promised():
    promised = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if ":: 3." in c]
    assert PROJECT["requires-python"] == f">={promised[0]}"
    assert f"today {promised[0]} to {promised[-1]}" in read("docs/stability.md")


def test_the_page_of_the_command_line_is_what_the_command_says(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["gpsattn", "--help"])
    assert f"$ gpsattn --help\n{capsys.readouterr().out}```" in read(
        "docs/how_to/command_line.md"
    )


def test_a_commit_is_checked_as_lint_checks():
    (repo,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in repo["hooks"]]
    *lint, large_files = (entry.removesuffix(" --force-exclude") for entry in entries)
    known = re.findall(r'\["-m", ("(?:ruff|mypy)".*?)\]', read("dev.py"))
    assert lint == [row.replace('"', "").replace(",", "") for row in known]
    assert (ROOT / large_files).stat().st_mode & stat.S_IXUSR


def test_large_files_are_named(tmp_path):
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1" * (2 << 20))
    large.write_bytes(b"1" * ((2 << 20) + 1))
    command = [str(ROOT / ".ci/large_files"), str(small)]
    assert subprocess.run(command).returncode == 0
    done = subprocess.run([*command, str(large)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == f"{large} must be at most 2 MiB; got 2097153 bytes.\n"


def test_the_workflow_runs_the_script_of_everyone_on_two_pythons():
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["run"]
    pythons = job["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12"]
    assert job["steps"][-1] == {"run": ".ci/run"}
    assert (ROOT / ".ci/run").stat().st_mode & stat.S_IXUSR
    oldest = ".".join(map(str, sys.version_info[:2]))
    assert PROJECT["requires-python"] == f">={pythons[0]}" and oldest >= pythons[0]
