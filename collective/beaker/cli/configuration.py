"""Read the zope.conf that a command is given."""

import os
from pathlib import Path

from collective.beaker.cli.console import Failure
from collective.beaker.maintenance.stored import Options
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.folders import used_folders
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import ZopeConf
from collective.beaker.settings.zope_conf import ZopeConfError
from collective.beaker.settings.zope_conf import read_zope_conf


def read_valid_zope_conf(path: str) -> ZopeConf:
    """Read zope.conf; raise Failure if it cannot be read."""
    try:
        found = read_zope_conf(path)
    except ZopeConfError as error:
        raise Failure(str(error)) from None
    os.environ.update(found.environment)
    return found


def read_valid_configuration(path: str) -> Configuration:
    """Read the beaker section; raise Failure if it has mistakes."""
    conf = read_valid_zope_conf(path)
    configuration = read_configuration(conf.section)
    if configuration.errors:
        raise Failure("\n".join(configuration.errors))
    check_user(conf, configuration)
    return configuration


def check_user(conf: ZopeConf, configuration: Configuration) -> None:
    """Raise Failure if new files would not belong to Zope's user."""
    if not hasattr(os, "geteuid"):
        return
    folders = used_folders(configuration)
    if os.geteuid() == 0:
        folders.append(conf.clienthome)
    for folder in map(Path, folders):
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise Failure(
                f"{folder} belongs to another user, {_owner(folder)}: Zope "
                "could not use files that you create there. Run this as that "
                f"user, for example with sudo -u {_owner(folder)}."
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"#{path.stat().st_uid}"


def read_session_options(path: str) -> Options:
    """Read the options of sessions; raise Failure if they are out of reach."""
    options = read_valid_configuration(path).session
    if options is None:
        raise Failure(
            f"{path} configures no sessions. Add a setting that begins with "
            "session. to <product-config beaker>."
        )
    backend = backend_of(options)
    if backend.per_process:
        raise Failure(
            f"session.type is {kind_of(options)!r}: the sessions are in each "
            "process of Zope, where this command cannot look. "
            f"{backend.session_remedy}"
        )
    return options
