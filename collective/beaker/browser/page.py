"""The page for the one who runs a site: a view over report and maintenance."""

from typing import Any
from typing import NamedTuple

from OFS.interfaces import IApplication

from collective.beaker import wording
from collective.beaker.browser import messages
from collective.beaker.browser.base import View
from collective.beaker.browser.charts import Chart
from collective.beaker.browser.charts import charts
from collective.beaker.browser.tokens import FIELD
from collective.beaker.browser.tokens import make_token
from collective.beaker.maintenance.caches import check_can_clear
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.report import DEFAULT
from collective.beaker.report import INHERITED
from collective.beaker.report import Health as StoreHealth
from collective.beaker.report import Setting


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
"""What a browser allows the page: its style, its forms, and the ZMI's frame.

No other site can put it into a frame, to have its buttons pressed unawares.
"""


class Settings(NamedTuple):
    """A table of settings, which the page shows or unfolds."""

    title: str
    settings: list[Setting]
    open: str | None = None


class Page(View):
    """What is configured, how it fares, and buttons."""

    token_field = FIELD

    def __call__(self) -> str:
        self.never_cache()
        response = self.request.response
        # Plone's theme knows nothing of this page, which has its own style.
        response.setHeader("X-Theme-Disabled", "1")
        response.setHeader("Content-Security-Policy", _POLICY)
        self.report = self.make_report()
        self.configuration = self.read_configuration()
        self.message = messages.take(self.request)
        self.home = self.context.absolute_url()
        return self.index()

    def token(self) -> str:
        return make_token(self.context, self.request)

    def verdict(self) -> str:
        """Return in a few words how all is."""
        failed = sum(not health.is_well for health in self.report.stores)
        words = [
            wording.number(number, thing) + more
            for number, thing, more in (
                (len(self.report.errors), "error", ""),
                (failed, "store", " in trouble"),
                (len(self.report.warnings), "warning", ""),
            )
            if number
        ]
        return ", ".join(words) or "All is well"

    def title(self) -> str:
        return self.context.title_or_id() or "Zope"

    def site_url(self) -> str:
        """Return where the administrator comes from."""
        if IApplication.providedBy(self.context):
            return f"{self.home}/manage_main"
        return self.home

    def settings(self) -> list[Settings]:
        """Return the settings that somebody has made, and all others."""
        made, others = [], []
        for setting in self.report.settings:
            is_made = setting.source not in (DEFAULT, INHERITED)
            (made if is_made else others).append(setting)
        tables = [
            Settings("Settings that were made", made, "open"),
            Settings("All other settings", others),
        ]
        return [table for table in tables if table.settings]

    def shown(self, value: Any) -> str:
        return wording.value(value)

    def obstacle(self, region: str) -> str | None:
        """Return why a cache region cannot be emptied; None if it can."""
        try:
            check_can_clear(
                self.configuration, region, self.session_options_in_force()
            )
        except CannotMaintain as error:
            return str(error)
        except Exception:
            # The button says what is wrong.
            pass
        return None

    def expiry(self, seconds: int | None) -> str:
        return "never" if seconds is None else wording.duration(seconds)

    def times(self, health: StoreHealth) -> str:
        return ", ".join(
            f"{step}\N{NO-BREAK SPACE}{seconds * 1000:.2f}"
            for step, seconds in health.seconds.items()
        )

    def total(self, health: StoreHealth) -> str:
        return f"{sum(health.seconds.values()) * 1000:.2f} ms"

    def session_type(self) -> str:
        for health in self.report.stores:
            if health.name == "session":
                return health.type
        return ""

    def facts(self) -> list[tuple[str, str]]:
        """Return what was counted, apart from the charts."""
        found = self.report.sessions.survey
        average = found.bytes / found.sessions if found.sessions else 0
        return [
            ("Sessions", f"{found.sessions:,}"),
            ("Expired", f"{found.expired:,}"),
            ("Unreadable", f"{found.unreadable:,}"),
            ("Empty records", f"{found.empty:,}"),
            ("Size in all", wording.size(found.bytes)),
            ("On average", wording.size(average)),
            ("Largest", wording.size(found.largest)),
            ("Oldest", wording.duration(found.oldest)),
        ]

    def charts(self) -> list[Chart]:
        return charts(self.report.sessions.survey)
