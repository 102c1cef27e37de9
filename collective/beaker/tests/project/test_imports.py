"""What may import what: the floors of the package, and its tests."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


PROJECT = Path(__file__).parents[4]
PACKAGE = "collective.beaker"
TESTS = f"{PACKAGE}.tests"

FLOORS = [
    {"interfaces", "documentation", "forks", "ids", "hidden", "blobs"},
    {"settings"},
    {"stores"},
    {"session", "caching"},
    {"maintenance"},
    {"report", "wording"},
    {
        *("metaconfigure", "cli", "ctl"),
        *("browser", "plone", "testing", "zopesession"),
    },
]
"""The modules and packages, from the ground to the edges.

Each imports from lower floors, and those of one floor do not import each
other.  The edges may, because nothing else imports them.
"""

EDGES = FLOORS[-1]


class Import(NamedTuple):
    """A statement that imports a module, wherever in a module it stands."""

    importer: str
    imported: str


def modules_below(folder: str) -> dict[str, Path]:
    """Return the files of all modules below a folder, by their names."""
    found = {}
    for path in (PROJECT / folder).rglob("*.py"):
        parts = path.relative_to(PROJECT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@pytest.fixture(scope="module")
def modules():
    """The files of the package, its tests and its benchmarks."""
    return modules_below("collective") | modules_below("benchmarks")


@pytest.fixture(scope="module")
def imports(modules):
    """All imports of modules of the package and of its tests."""
    return [
        Import(name, imported)
        for name, path in modules.items()
        for imported in imports_of(name, path, modules)
        if is_in(imported, PACKAGE)
    ]


def imports_of(
    name: str, path: Path, modules: dict[str, Path]
) -> Iterator[str]:
    """Yield the modules that a module imports, by their full names."""
    package = name.split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level]
            start = above if node.level else []
            parent = ".".join([*start, *filter(None, [node.module])])
            for alias in node.names:
                child = f"{parent}.{alias.name}"
                yield child if child in modules else parent


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def part_of(name: str) -> str:
    """Return what stands on a floor: ``stores`` for a module in stores."""
    return name.removeprefix(PACKAGE).split(".")[1]


def floor_of(name: str) -> int:
    (floor,) = (
        number for number, parts in enumerate(FLOORS) if part_of(name) in parts
    )
    return floor


def is_test(name: str) -> bool:
    module = name.rpartition(".")[2]
    return module.startswith("test_") or module == "conftest"


def own_imports(imports: list[Import]) -> list[Import]:
    """Return those in the package itself, without its tests."""
    return [
        found
        for found in imports
        if is_in(found.importer, PACKAGE)
        and not is_in(found.importer, TESTS)
        and found.imported != PACKAGE
    ]


def test_each_part_of_the_package_stands_on_one_floor(modules):
    parts = {
        part_of(name)
        for name in modules
        if is_in(name, PACKAGE) and name != PACKAGE and not is_in(name, TESTS)
    }

    assert parts <= set().union(*FLOORS)


def test_imports_go_down_only(imports):
    assert [
        found
        for found in own_imports(imports)
        if part_of(found.importer) not in EDGES
        and part_of(found.imported) != part_of(found.importer)
        and floor_of(found.imported) >= floor_of(found.importer)
    ] == []


def test_the_modules_of_a_package_do_not_import_its_front(imports):
    assert [
        found
        for found in own_imports(imports)
        if is_in(found.importer, found.imported)
    ] == []


def test_the_package_does_not_import_its_tests(imports):
    assert [
        found for found in own_imports(imports) if is_in(found.imported, TESTS)
    ] == []


def test_nothing_imports_tests_or_their_fixtures(imports):
    assert [found for found in imports if is_test(found.imported)] == []


def test_no_test_lives_among_the_helpers(modules):
    helpers = [name for name in modules if is_in(name, f"{TESTS}.helpers")]

    assert helpers
    assert [name for name in helpers if is_test(name)] == []
