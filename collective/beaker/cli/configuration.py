"""Read the zope.conf that a command is given."""

import os

from collective.beaker.cli.console import Failure
from collective.beaker.maintenance.stored import Options
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.folders import is_open_to_all
from collective.beaker.settings.folders import other_owner
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
    """Raise Failure if files would not be those of Zope's user only."""
    folders = used_folders(configuration)
    for folder in folders:
        if is_open_to_all(folder):
            raise Failure(
                f"{folder} can be written to by any local user, who could "
                "plant files there. Give it to Zope's user, with the mode "
                "700, and look at what is in it."
            )
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        folders.append(conf.clienthome)
    for folder in folders:
        if owner := other_owner(folder):
            raise Failure(
                f"{folder} belongs to another user, {owner}: Zope could not "
                "use files that you create there. Run this as that user, for "
                f"example with sudo -u {owner}."
            )


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
