"""Read the zope.conf that a command is given."""

import os

import click

from collective.beaker.cli.console import Failure
from collective.beaker.cli.database import read_sites_of
from collective.beaker.maintenance.sites import Owned
from collective.beaker.maintenance.sites import of_zope_conf
from collective.beaker.maintenance.sites import one_for_each_place
from collective.beaker.maintenance.stored import Options
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.folders import is_open_to_all
from collective.beaker.settings.folders import other_owner
from collective.beaker.settings.folders import used_folders
from collective.beaker.settings.links import with_link
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import check_session_options
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
        raise Failure("\n".join(map(with_link, configuration.errors)))
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


def read_session_options(
    path: str, of_sites: bool
) -> tuple[list[Owned], list[str]]:
    """Read the options of sessions; return what is wrong with others, too.

    They are those of zope.conf and, if asked for, those that sites configure
    for themselves.  What is kept in one place is there once.  Raises Failure
    if there are none.
    """
    found = of_zope_conf(read_valid_configuration(path).session)
    wrong: list[str] = []
    if of_sites:
        found += _read_options_of_sites(path, wrong)
    if not found and not wrong:
        raise Failure(
            f"{path} configures no sessions. Add a setting that begins with "
            "session. to <product-config beaker>, or give another file with "
            "--config."
        )
    reachable: list[Owned] = []
    for owned in one_for_each_place(found):
        if reason := _out_of_reach(owned.options):
            wrong.append(f"{owned.owner}: {reason}" if of_sites else reason)
        else:
            reachable.append(owned)
    return reachable, wrong


def _read_options_of_sites(path: str, wrong: list[str]) -> list[Owned]:
    """Read what sites configure; add what is wrong with it to a list."""
    conf = read_valid_zope_conf(path)
    sites, found = read_sites_of(path, conf), []
    for problem in sites.problems:
        click.echo(problem, err=True)
    for site in sites.found:
        errors = check_site(conf, site.options).errors
        wrong += [f"{site.owner}: {error}" for error in errors]
        if not errors:
            found.append(site)
    return found


def _out_of_reach(options: Options) -> str | None:
    """Return why no command can reach sessions, or None."""
    backend = backend_of(options)
    if not backend.per_process:
        return None
    return (
        f"session.type is {kind_of(options)!r}: the sessions are in each "
        "process of Zope, where this command cannot look. "
        f"{backend.session_remedy}"
    )


def check_site(
    conf: ZopeConf, options: Options, zope_session: bool = False
) -> Configuration:
    """Check the session options of a site.

    The errors say why its sessions cannot be used from here.
    ``zope_session`` is the option of zope.conf.
    """
    found = check_session_options(options, zope_session)
    if not found.errors:
        try:
            check_user(conf, found)
        except Failure as failure:
            found.errors.append(failure.message)
    return found
