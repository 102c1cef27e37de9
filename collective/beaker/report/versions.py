"""The versions of the programs that matter."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version
from platform import python_version

from collective.beaker.settings.backends import BACKENDS


_PACKAGES = (
    "collective.beaker",
    "Beaker",
    "Zope",
    "cryptography",
)
"""The packages whose versions are reported, if they are installed.  The client
libraries of stores are reported, too."""


def versions() -> dict[str, str]:
    """Return the versions of Python, Zope, Beaker and of the client libraries
    that are installed."""
    found = {"Python": python_version()}
    libraries = {backend.distribution for backend in BACKENDS.values()} - {""}
    for package in (*_PACKAGES, *sorted(libraries, key=str.lower)):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
