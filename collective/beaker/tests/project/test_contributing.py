"""What contributors are given: one rule, wherever it is written down."""

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from readme_renderer import rst


PROJECT = Path(__file__).parents[4]
NEWS = PROJECT / "news"

pytestmark = pytest.mark.skipif(
    not NEWS.exists(),
    reason="an installed package comes without its project",
)


@pytest.fixture(scope="module")
def tox():
    parser = ConfigParser(interpolation=None)
    parser.read(PROJECT / "tox.ini")
    return parser


def text_of(name: str) -> str:
    return (PROJECT / name).read_text()


def test_pre_commit_runs_the_versions_of_tox():
    config = text_of(".pre-commit-config.yaml")
    versions = re.findall(r"additional_dependencies: \[(.+)\]", config)
    (group,) = re.findall(
        r"(?ms)^lint = \[$(.+?)^\]$", text_of("pyproject.toml")
    )

    assert versions
    assert set(versions) <= set(re.findall('"(.+)"', group))


def environments_of(label: str, tox: ConfigParser) -> list[str]:
    labels = tox["tox"]["labels"]
    return re.search(rf"(?m)^{label} = (.+)$", labels)[1].split(", ")


def test_github_runs_the_matrix_of_tox(tox):
    matrix = environments_of("matrix", tox)
    workflow = text_of(".github/workflows/tests.yml")
    environments = re.findall(r"- environment: (\S+)", workflow)

    assert environments == [*matrix, "faults", "scaleout", "start"]


def test_ci_runs_each_zope_plone_and_python_of_the_matrix(tox):
    matrix, ci = (environments_of(label, tox) for label in ("matrix", "ci"))
    left_out = set("-".join(matrix).split("-")) - set("-".join(ci).split("-"))

    assert set(ci) <= set(matrix)
    # The README's command runs with 3.11, and Plone with 3.12.
    assert left_out == {"py311", "py312"}
    assert tox["testenv:plone62"]["base_python"] == "python3.12"


def test_github_runs_the_interpreter_that_an_environment_names():
    workflow = text_of(".github/workflows/tests.yml")
    pairs = re.findall(r'py3(\d+)\n +python: "3\.(\d+)"', workflow)

    assert pairs
    assert all(named == run for named, run in pairs)


def test_github_installs_the_programs_of_ci():
    loop = re.search(r"for program in (.+?); do", text_of(".ci/run"), re.S)
    programs = loop[1].replace("\\\n", "").split()
    packages = {program.rpartition(":")[2] for program in programs}
    action = text_of(".github/actions/install-servers/action.yml")
    installed = re.search(r"PACKAGES: >-\n((?: {10}.+\n)+)", action)

    assert set(installed[1].split()) == packages


# Releases


@pytest.fixture
def project(tmp_path):
    """A copy of what towncrier reads, without the news of today."""
    pytest.importorskip("towncrier")
    for name in ("pyproject.toml", "CHANGES.rst"):
        shutil.copy(PROJECT / name, tmp_path)
    (tmp_path / "news").mkdir()
    for name in ("README.rst", "changes.rst.jinja"):
        shutil.copy(NEWS / name, tmp_path / "news")
    return tmp_path


def build(project: Path, version: str) -> subprocess.CompletedProcess:
    """Have towncrier write a release's section of CHANGES.rst."""
    command = [sys.executable, "-m", "towncrier", "build", "--yes"]
    command += ["--version", version, "--date", "2030-01-31"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def release(project: Path, version: str) -> str:
    """Return CHANGES.rst with the section of a release."""
    result = build(project, version)
    assert result.returncode == 0, result.stdout + result.stderr
    return (project / "CHANGES.rst").read_text()


def test_a_release_is_above_the_former_ones(project):
    former = release(project, "9.0")
    (project / "news" / "1.feature").write_text("A feature.")

    changes = release(project, "9.1")

    title, section, rest = changes.partition(
        "9.1 (2030-01-31)\n----------------\n\nNew:\n\n- A feature.\n\n"
    )
    assert section
    assert title + rest == former


def test_each_type_of_news_has_a_list(project):
    kinds = ["internal", "documentation", "bugfix", "feature", "breaking"]
    for number, kind in enumerate(kinds):
        fragment = project / "news" / f"{number}.{kind}"
        fragment.write_text(f"It is {kind}.")

    changes = release(project, "9.0")

    lists = re.findall(r"(?m)^(.+):\n\n- It is (\w+)\.$", changes)
    assert lists == [
        ("Breaking changes", "breaking"),
        ("New", "feature"),
        ("Fixed", "bugfix"),
        ("Documentation", "documentation"),
        ("Internal", "internal"),
    ]
    assert rst.render(changes) is not None


def test_a_misnamed_fragment_stops_a_release(project):
    (project / "news" / "1.bug").write_text("It is gone.")

    result = build(project, "9.0")

    assert result.returncode != 0
    assert "1.bug" in result.stdout + result.stderr


def test_the_news_of_today_render(project):
    shutil.copytree(NEWS, project / "news", dirs_exist_ok=True)

    assert rst.render(release(project, "9.0")) is not None
