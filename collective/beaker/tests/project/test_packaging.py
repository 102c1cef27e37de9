"""What is released is whole: the sdist, the wheel and their metadata."""

import re
import shutil
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest
from readme_renderer import rst

from collective.beaker.documentation import DOCUMENTATION


pytestmark = pytest.mark.product

PROJECT = Path(__file__).parents[4]

MADE_BY_SETUPTOOLS = ("PKG-INFO", "setup.cfg", "collective.beaker.egg-info/")


def tracked_files() -> set[str]:
    """Return the files that git tracks, as paths from the project's folder."""
    command = ["git", "ls-files", "-z"]
    listing = subprocess.run(
        command, cwd=PROJECT, check=True, capture_output=True, text=True
    )
    names = listing.stdout.split("\0")
    return {name for name in names if name and (PROJECT / name).exists()}


@pytest.fixture(scope="module")
def tracked():
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout")
    return tracked_files()


@pytest.fixture(scope="module")
def dist(tracked, tmp_path_factory):
    """The folder with the sdist and the wheel, built from a clean copy."""
    project = tmp_path_factory.mktemp("project")
    for name in tracked:
        copy = project / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, copy)
    command = [sys.executable, "-m", "build", "--no-isolation", str(project)]
    build = subprocess.run(command, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    return project / "dist"


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    with ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = (n for n in wheel.namelist() if n.endswith("/METADATA"))
    return message_from_bytes(wheel.read(name))


def test_the_sdist_holds_what_git_tracks_and_nothing_else(dist, tracked):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        files = [member.name for member in archive if member.isfile()]
    names = {name.partition("/")[2] for name in files}

    assert tracked == {
        name for name in names if not name.startswith(MADE_BY_SETUPTOOLS)
    }


def test_the_wheel_holds_every_file_of_the_package(wheel, tracked):
    package = {name for name in tracked if name.startswith("collective/")}

    assert {Path(name).suffix for name in package} >= {".py", ".zcml"}
    assert package == {
        name for name in wheel.namelist() if name.startswith("collective/")
    }


def test_the_namespace_is_native(tracked):
    assert "collective/__init__.py" not in tracked


@pytest.mark.parametrize(
    ("group", "entry"),
    [
        # Plone finds the package without a slug.
        ("z3c.autoinclude.plugin", "target = plone"),
        (
            "console_scripts",
            "collective-beaker = collective.beaker.cli:main",
        ),
        (
            "plone.recipe.zope2instance.ctl",
            "beaker = collective.beaker.ctl:beaker",
        ),
    ],
)
def test_others_find_the_package(wheel, group, entry):
    (name,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))

    assert f"[{group}]\n{entry}\n" in wheel.read(name).decode()


@pytest.mark.parametrize(
    "extra, library",
    [
        # Spelled with its dot, or buildout does not find it.
        ("Zope2.10", "ZPublisherEventsBackport"),
        ("crypto", "cryptography"),
        ("memcached", "pymemcache"),
        ("mongodb", "pymongo"),
        ("redis", "redis[hiredis]>=6"),
        ("sqlalchemy", "SQLAlchemy>=2.0.43"),
    ],
)
def test_an_extra_names_the_library(metadata, extra, library):
    marker = extra.lower().replace(".", "-")

    assert extra in metadata.get_all("Provides-Extra")
    assert f'{library}; extra == "{marker}"' in metadata.get_all(
        "Requires-Dist"
    )


def test_the_description_renders(metadata):
    # The renderer returns None for what a package index would refuse.
    description = metadata.get_payload(decode=True).decode()

    html = rst.render(description)
    assert html is not None
    # The files that links lead to in a clone are not there.
    links = re.findall(r'(?:href|src)="([^"]+)"', html)
    assert [link for link in links if not link.startswith(("http", "#"))] == []


def test_the_links_of_the_description_lead_to_the_documentation(metadata):
    description = metadata.get_payload(decode=True).decode()
    pattern = rf"{DOCUMENTATION}/(?:_images/)?([\w-]+)\.(\w+)"
    files = re.findall(pattern, description)

    assert ("sessions", "html") in files
    assert ("demo", "png") in files
    for name, kind in files:
        folder, suffix = ("images", kind) if kind == "png" else (".", "rst")
        assert (PROJECT / "docs" / folder / f"{name}.{suffix}").exists()


def test_the_index_names_the_documentation(metadata):
    (url,) = metadata.get_all("Project-URL")

    assert DOCUMENTATION.startswith(url.removeprefix("Documentation, "))
