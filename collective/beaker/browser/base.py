"""What the views of this package share."""

from collections.abc import Mapping
from typing import Any

from Products.Five.browser import BrowserView
from zope.component import getGlobalSiteManager
from zope.component import queryUtility

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.report import Report
from collective.beaker.report import make_report
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import running_section


COUNT_SECONDS = 1
"""So long sessions are counted while somebody waits for the page."""


class View(BrowserView):
    """A view that no cache keeps."""

    def never_cache(self) -> None:
        self.request.response.setHeader("Cache-Control", "no-store")

    def make_report(self) -> Report:
        """Return a report, with sessions counted as far as time allows."""
        options = queryUtility(ISessionConfig)
        of_zope = getGlobalSiteManager().queryUtility(ISessionConfig)
        return make_report(
            running_section(), options, options is not of_zope, COUNT_SECONDS
        )

    def read_configuration(self) -> Configuration:
        """Return what zope.conf configures."""
        return read_configuration(running_section())

    def session_options_in_force(self) -> list[Mapping[str, Any]]:
        """Return the options of sessions: of this site, and of the Zope."""
        return [
            options
            for options in (
                queryUtility(ISessionConfig),
                getGlobalSiteManager().queryUtility(ISessionConfig),
            )
            if options is not None
        ]
