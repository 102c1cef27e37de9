"""The ZCML directive that reads the beaker section of zope.conf."""

import logging
from typing import Any

from zope.component import getGlobalSiteManager
from zope.configuration.config import ConfigurationContext
from zope.configuration.exceptions import ConfigurationError
from zope.interface import Interface

from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.settings.checks import is_memoize_installed
from collective.beaker.settings.folders import folder_warnings
from collective.beaker.settings.folders import make_folders
from collective.beaker.settings.links import with_link
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import running_section
from collective.beaker.zopesession.offering import offer_zope_sessions


logger = logging.getLogger("collective.beaker")

defaultSessionConfig: dict[str, Any] = SESSION_DEFAULTS
"""The defaults of the session options."""

_FIRST = -1
"""The order of our action: before all others.

So a utility that another package registers overrides ours, no matter which
package is included first.
"""


_LAST = 1
"""The order of an action after all others, also after those that register the
subscribers which give a request its session, or the cache of plone.memoize."""


class IBeakerConfiguration(Interface):
    """The directive ``loadConfiguration``. It has no attributes."""


def beakerConfiguration(_context: ConfigurationContext) -> None:
    """Read the beaker section of zope.conf when the ZCML is executed."""
    _context.action(
        discriminator=("collective.beaker", "loadConfiguration"),
        callable=_configure,
        order=_FIRST,
    )
    _context.action(
        discriminator=("collective.beaker", "request.SESSION"),
        callable=_offer_zope_sessions,
        order=_LAST,
    )
    _context.action(
        discriminator=("collective.beaker", "plone.memoize"),
        callable=_keep_memoized_values,
        order=_LAST,
    )


def _configure() -> None:
    """Register the utilities for which the beaker section has settings.

    Raises ConfigurationError with all mistakes in the section, each with the
    link of its setting.
    """
    configuration = read_configuration(running_section())
    warnings = configuration.warnings + folder_warnings(configuration)
    for warning in warnings:
        logger.warning("%s", with_link(warning))
    errors = configuration.errors + make_folders(configuration)
    if errors:
        raise ConfigurationError("\n".join(map(with_link, errors)))

    utilities = getGlobalSiteManager()
    if configuration.cache is not None:
        manager = RegionCacheManager(**configuration.cache)
        utilities.registerUtility(manager, ICacheManager)
    if configuration.session is not None:
        utilities.registerUtility(configuration.session, ISessionConfig)


def _offer_zope_sessions() -> None:
    """Set request.SESSION in each request, if zope.conf says so."""
    utilities = getGlobalSiteManager()
    options = utilities.queryUtility(ISessionConfig)
    if options is not None and options.get("zope_session"):
        offer_zope_sessions(utilities)


def _keep_memoized_values() -> None:
    """Have plone.memoize keep its values in a region, if zope.conf says so."""
    region = read_configuration(running_section()).memoize
    if not region or not is_memoize_installed():
        return
    from collective.beaker.plone.memoize import share_memoized_values

    share_memoized_values(region, getGlobalSiteManager())
