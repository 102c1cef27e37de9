"""What the views of this package share."""

from OFS.SimpleItem import Item
from Products.Five.browser import BrowserView
from zope.component import getGlobalSiteManager
from zope.component import queryUtility
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.report import make_report
from collective.beaker.report.parts import Report
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import running_section


COUNT_SECONDS = 1
"""How long sessions are counted while someone waits for the page."""


class View(BrowserView):
    """A view whose response is never cached."""

    context: Item
    request: HTTPRequest

    def never_cache(self) -> None:
        self.request.response.setHeader("Cache-Control", "no-store")

    def make_report(self) -> Report:
        """Return a report; sessions are counted for ``COUNT_SECONDS``."""
        options = queryUtility(ISessionConfig)
        global_options = getGlobalSiteManager().queryUtility(ISessionConfig)
        return make_report(
            running_section(),
            options,
            options is not global_options,
            COUNT_SECONDS,
        )

    def read_configuration(self) -> Configuration:
        """Return what zope.conf configures."""
        return read_configuration(running_section())
