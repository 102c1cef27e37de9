"""The database of Zope, opened read-only while Zope may be running."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from App.config import getConfiguration
from App.config import setConfiguration
from transaction import TransactionManager
from ZConfig.matcher import SectionValue
from ZODB.POSException import ReadOnlyError

from collective.beaker.cli.console import Failure
from collective.beaker.maintenance.sites import Sites
from collective.beaker.maintenance.sites import read_sites
from collective.beaker.settings.zope_conf import ZopeConf


_READ_ONLY = {
    "read_only": True,
    "create": False,
    # The cache file of a ZEO client, which the running Zope has locked.
    "client": None,
}
"""Options of storages, in the sections that have them."""


class _NoApplication(Exception):
    """The database is one in which no Zope was started."""


def read_sites_of(path: str, conf: ZopeConf) -> Sites:
    """Return what sites configure for themselves in the database of Zope.

    Raises Failure if the database cannot be opened.
    """
    for database in conf.whole.databases:
        _make_read_only(database.config.storage)
    try:
        with _in_force(conf.whole), _root(conf.whole.dbtab) as root:
            return read_sites(root)
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        reason = f"{file}{error.strerror or type(error).__name__}"
    except (_NoApplication, ReadOnlyError):
        reason = (
            "it holds no Zope application. Start Zope once. What is in a "
            "mappingstorage, only Zope itself can see"
        )
    except Exception as error:
        # Only the type: the message may hold a password.
        reason = f"{type(error).__name__} (is its server running?)"
    # Outside the handlers: as a context, the error might show a password.
    raise Failure(f"The database in {path} cannot be opened: {reason}.")


def _make_read_only(factory: Any) -> None:
    """Change the configuration of a storage, and of those in it."""
    section: Any = getattr(factory, "config", None)
    if not isinstance(section, SectionValue):
        return
    for option, value in _READ_ONLY.items():
        if hasattr(section, option):
            setattr(section, option, value)
    for name in section.getSectionAttributes():
        value = getattr(section, name)
        for each in value if isinstance(value, list) else [value]:
            _make_read_only(each)


@contextmanager
def _in_force(configuration: Any) -> Iterator[None]:
    """Let mount points find the databases of a configuration."""
    previous = getConfiguration()
    setConfiguration(configuration)
    try:
        yield
    finally:
        setConfiguration(previous)


@contextmanager
def _root(databases: Any) -> Iterator[Any]:
    """Yield Zope's root folder; then close all databases."""
    try:
        database = databases.getDatabase("/")
        connection = database.open(TransactionManager())
        try:
            if "Application" not in connection.root():
                raise _NoApplication
            yield connection.root()["Application"]
        finally:
            connection.transaction_manager.abort()
            connection.close()
    finally:
        for each in databases.databases.values():
            each.close()
