"""The map of the code names what there is, and nothing else."""

import ast
import re
from pathlib import Path

import pytest


PROJECT = Path(__file__).parents[4]
PACKAGE = PROJECT / "collective" / "beaker"
TESTS = PACKAGE / "tests"
PAGE = PROJECT / "docs" / "development.rst"

pytestmark = pytest.mark.skipif(
    not PAGE.exists(),
    reason="an installed package comes without its documentation",
)


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text()


def names_in(page: str, pattern: str) -> list[str]:
    """Return what the page names in literals of a certain form."""
    return re.findall(rf"``({pattern})``", page)


def modules() -> set[Path]:
    """Return the modules of the package, apart from its tests."""
    found = PACKAGE.rglob("*.py")
    return {path for path in found if TESTS not in path.parents}


def functions() -> set[str]:
    """Return the names of all functions and methods of the package."""
    return {
        node.name
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }


def test_each_module_has_one_line(page):
    floors, _, _ = page.partition("Beside the package\n")
    lines = re.findall(r"(?m)^ *- ``(\S+\.py)``: ", floors)

    assert sorted(lines) == sorted(
        str(path.relative_to(PACKAGE))
        for path in modules()
        if path.name != "__init__.py"
    )


def test_each_package_is_introduced(page):
    packages = {
        f"{path.parent.relative_to(PACKAGE)}/"
        for path in modules()
        if path.name == "__init__.py" and path.parent != PACKAGE
    }

    assert packages <= set(names_in(page, r"[\w/]+/"))


def test_each_file_exists(page):
    files = names_in(page, r"[\w/]+/\w+\.\w+")

    assert [
        name
        for name in files
        if not (PACKAGE / name).exists() and not (PROJECT / name).exists()
    ] == []


def test_each_function_exists(page):
    names = names_in(page, r"\w+\(\)")

    assert {name.removesuffix("()") for name in names} <= functions()
