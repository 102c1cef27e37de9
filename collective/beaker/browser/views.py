"""The page for the one who runs a site: a view over report and maintenance."""

import json
import logging
from collections.abc import Callable
from collections.abc import Mapping
from functools import wraps
from typing import Any
from typing import NamedTuple

from OFS.interfaces import IApplication
from Products.Five.browser import BrowserView
from zExceptions import MethodNotAllowed
from zope.component import getGlobalSiteManager
from zope.component import queryUtility

from collective.beaker import wording
from collective.beaker.browser import messages
from collective.beaker.browser.charts import Chart
from collective.beaker.browser.charts import charts
from collective.beaker.browser.tokens import FIELD
from collective.beaker.browser.tokens import check_token
from collective.beaker.browser.tokens import make_token
from collective.beaker.ids import ID_LENGTH
from collective.beaker.ids import is_id
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.caches import check_can_clear
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.slices import within
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.report import DEFAULT
from collective.beaker.report import INHERITED
from collective.beaker.report import Health as StoreHealth
from collective.beaker.report import Report
from collective.beaker.report import Setting
from collective.beaker.report import is_available
from collective.beaker.report import make_report
from collective.beaker.report import told
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import running_section


COUNT_SECONDS = 1
"""So long sessions are counted while somebody waits for the page."""

SWEEP_SECONDS = 10
"""So long a button sweeps."""


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


logger = logging.getLogger("collective.beaker")


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
        self.configuration = read_configuration(running_section())
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
            check_can_clear(self.configuration, region, _options_in_force())
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


def on_post(
    change: Callable[[Any], str],
) -> Callable[[Any], None]:
    """Have a method change something, on POST with the token of a form.

    The answer redirects to the page, which shows the text that the method
    returns, or why it failed: a reload repeats nothing.
    """

    @wraps(change)
    def publish(self: Any) -> None:
        self.never_cache()
        if self.request.method != "POST":
            raise MethodNotAllowed("Press the button on the page @@beaker.")
        check_token(self.context, self.request)
        try:
            messages.leave(self.request, "done", change(self))
        except CannotMaintain as error:
            messages.leave(self.request, "failed", str(error))
        except Exception as error:
            logger.error("A button of @@beaker failed: %s", told(error))
            messages.leave(self.request, "failed", told(error))
        url = f"{self.context.absolute_url()}/@@beaker"
        self.request.response.redirect(url, status=303)

    return publish


class Actions(View):
    """What the buttons of the page do."""

    @on_post
    def sweep(self) -> str:
        """Remove what has expired, as far as time allows."""
        swept, is_complete = within(
            SWEEP_SECONDS, sweep(self._session_options())
        )
        text = f"{wording.removed(swept)} {wording.kept(swept)}"
        if is_complete:
            return text
        return (
            f"{text} The time was up after {swept.looked_at:,} records. "
            "Run collective-beaker sweep to look at all."
        )

    @on_post
    def clear(self) -> str:
        """Empty a cache region."""
        region = self._field("region")
        configuration = read_configuration(running_section())
        number = clear_region(configuration, region, _options_in_force())
        kind = configuration.cache["cache_regions"][region]["type"]
        text = f"Emptied {region}: {wording.number(number, 'piece')} removed."
        return f"{text} {_ELSEWHERE[kind]}" if kind in _ELSEWHERE else text

    @on_post
    def revoke(self) -> str:
        """End the session of an id, or of a cookie that ends with one."""
        id = self._field("id").strip()
        if not is_id(id):
            id = id[-ID_LENGTH:]
        if not revoke(self._session_options(), id):
            raise CannotMaintain("There is no session with this id.")
        return "Ended the session."

    def _session_options(self) -> Mapping[str, Any]:
        options = queryUtility(ISessionConfig)
        if options is None:
            raise CannotMaintain(
                "No sessions are configured. Add a setting that begins with "
                "session. to <product-config beaker>."
            )
        return options

    def _field(self, name: str) -> str:
        value = self.request.form.get(name)
        return value if isinstance(value, str) else ""


def _options_in_force() -> list[Mapping[str, Any]]:
    """Return the options of sessions: of this site, and of the Zope."""
    return [
        options
        for options in (
            queryUtility(ISessionConfig),
            getGlobalSiteManager().queryUtility(ISessionConfig),
        )
        if options is not None
    ]


_ELSEWHERE = {
    "memory": "Other processes of Zope keep their values.",
    "ext:database": (
        "Other processes of Zope keep what they have loaded: restart them."
    ),
}
"""What clearing a region does not reach, by the type of its store."""


class Status(View):
    """The data of the page, for programs."""

    def __call__(self) -> str:
        self.never_cache()
        self.request.response.setHeader("Content-Type", "application/json")
        report = self.make_report()
        data = {"verdict": report.verdict, **report.as_dict()}
        return json.dumps(data, indent=2)


class Health(View):
    """One word for a load balancer."""

    def __call__(self) -> str:
        self.never_cache()
        response = self.request.response
        response.setHeader("Content-Type", "text/plain; charset=utf-8")
        if is_available(queryUtility(ISessionConfig)):
            return "ok"
        response.setStatus(503)
        return "unavailable"
