"""The page for administrators: what numbers and texts it shows."""

import os
import re
import socket
import time
from typing import NamedTuple

from OFS.interfaces import IApplication
from zope.component import queryMultiAdapter
from zope.component import queryUtility

from collective.beaker import wording
from collective.beaker.browser import messages
from collective.beaker.browser.base import View
from collective.beaker.browser.charts import Chart
from collective.beaker.browser.charts import make_cache_charts
from collective.beaker.browser.charts import make_charts
from collective.beaker.browser.tokens import FIELD
from collective.beaker.browser.tokens import make_token
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.caches import check_can_clear
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.survey import Survey
from collective.beaker.report.parts import DEFAULT
from collective.beaker.report.parts import INHERITED
from collective.beaker.report.parts import Report
from collective.beaker.report.parts import Setting
from collective.beaker.report.parts import SettingValue
from collective.beaker.report.parts import StoreCheck
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.links import link_of
from collective.beaker.settings.links import setting_url
from collective.beaker.settings.section import Configuration


_POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
"""What a browser allows the page: its style, its forms and the ZMI's frame.

No other site can show it in a frame and trick someone into pressing a button.
"""


_SITE_SETUP = "overview-controlpanel"
"""The view of Plone that has an entry for the page."""


class StoreLine(NamedTuple):
    """A store, or several checks of one that had the same result."""

    names: str
    type: str
    address: str
    error: str | None
    round_trip: str


class SettingsTable(NamedTuple):
    """A table of settings, which the page shows open or folded."""

    title: str
    settings: list[Setting]
    open: str | None = None
    """The value of the HTML attribute; None for a folded table."""


class Page(View):
    """What is configured, whether it works, and buttons to maintain it."""

    token_field = FIELD
    report: Report
    configuration: Configuration
    message: messages.Message | None
    measured: str
    """When the report was made, in the time zone of Zope."""

    home: str
    """The URL of the site or of the root of Zope."""

    def __call__(self) -> str:
        return self.show(messages.pop_message(self.request))

    def show(self, message: messages.Message | None) -> str:
        """Return the page, with a message."""
        self.never_cache()
        response = self.request.response
        # The page has its own style, which Plone's theme would replace.
        response.setHeader("X-Theme-Disabled", "1")
        response.setHeader("Content-Security-Policy", _POLICY)
        self.report = self.make_report()
        self.configuration = self.read_configuration()
        self.message = message
        self.measured = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        self.home = self.context.absolute_url()
        page: str = self.index()
        return page

    def token(self) -> str:
        return make_token(self.context, self.request)

    def verdict(self) -> str:
        """Summarize the report in a few words."""
        failed = sum(line.error is not None for line in self.stores())
        words = [
            wording.number(number, thing) + more
            for number, thing, more in (
                (len(self.report.errors), "error", ""),
                (failed, "store", " failed"),
                (len(self.report.warnings), "warning", ""),
            )
            if number
        ]
        return ", ".join(words) or "All is well"

    def process(self) -> str:
        """Return which process has measured, and where."""
        return f"process {os.getpid()} on {socket.gethostname()}"

    def stores(self) -> list[StoreLine]:
        """Return a line for each store; two that are alike share one."""
        alike: dict[tuple[str | None, ...], list[StoreCheck]] = {}
        for check in self.report.stores:
            key = (check.type, check.address, check.error)
            alike.setdefault(key, []).append(check)
        return [_line_of(checks) for checks in alike.values()]

    def store_works(self, name: str) -> bool:
        """Tell whether the store of sessions or of a region works."""
        return any(self._results_of(name))

    def has_failed(self, name: str) -> bool:
        """Tell whether there is such a store, and it does not work."""
        return not all(self._results_of(name))

    def _results_of(self, name: str) -> list[bool]:
        """Return whether the store with this name works, if it was checked."""
        stores = self.report.stores
        return [check.works for check in stores if check.name == name]

    def field_error(self, name: str) -> str | None:
        """Return what is wrong with what was typed into a field."""
        if self.message is None or self.message.field != name:
            return None
        return self.message.text

    def disabled(self, is_disabled: bool) -> str | None:
        """Return the value of a button's attribute of this name."""
        return "disabled" if is_disabled else None

    def title(self) -> str:
        return self.context.title_or_id() or "Zope"

    def site_url(self) -> str:
        """Return the URL of the page that an administrator comes from."""
        if IApplication.providedBy(self.context):
            return f"{self.home}/manage_main"
        views = (self.context, self.request)
        if queryMultiAdapter(views, name=_SITE_SETUP) is not None:
            return f"{self.home}/@@{_SITE_SETUP}"
        return self.home

    def settings(self) -> list[SettingsTable]:
        """Return a table of the configured settings, and one of all others."""
        configured: list[Setting] = []
        others: list[Setting] = []
        for setting in self.report.settings:
            is_other = setting.source in (DEFAULT, INHERITED)
            (others if is_other else configured).append(setting)
        tables = [
            SettingsTable("Configured settings", configured, "open"),
            SettingsTable("All other settings", others),
        ]
        return [table for table in tables if table.settings]

    def format_value(self, value: SettingValue) -> str:
        return wording.value(value)

    def setting_url(self, setting: Setting) -> str:
        return setting_url(setting.name)

    def link(self, message: str) -> str | None:
        """Return where the setting that a message begins with is explained."""
        return link_of(message)

    def parts(self, text: str) -> list[str]:
        """Return the parts of a path, between which a line may break."""
        return re.findall("[^/]*/+|[^/]+", text)

    def obstacle(self, region: str) -> str | None:
        """Return why a cache region cannot be emptied; None if it can."""
        try:
            check_can_clear(self.configuration, region)
        except CannotMaintain as error:
            return str(error)
        except Exception:
            # The button will say what is wrong.
            pass
        return None

    def expiry(self, seconds: int | None) -> str:
        return "never" if seconds is None else wording.duration(seconds)

    def is_per_process(self) -> bool:
        """Tell whether each process of Zope has sessions of its own."""
        options = queryUtility(ISessionConfig)
        return options is not None and backend_of(options).per_process

    def facts(self, found: Survey) -> list[tuple[str, str]]:
        return wording.facts(found)

    def charts(self, found: Survey) -> list[Chart]:
        return make_charts(found)

    def cache_charts(self) -> list[Chart]:
        return make_cache_charts(self.report.regions)


def _line_of(checks: list[StoreCheck]) -> StoreLine:
    """Return the line of checks that had the same result."""
    seconds = max(sum(check.seconds.values()) for check in checks)
    return StoreLine(
        ", ".join(check.name for check in checks),
        checks[0].type,
        checks[0].address,
        checks[0].error,
        wording.milliseconds(seconds),
    )
