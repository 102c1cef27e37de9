"""The report as JSON for programs, as it is, and the health check."""

import json

from zope.component import queryUtility

from collective.beaker.browser.base import View
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.report.sessions import is_available


class Status(View):
    """The data of the page as JSON."""

    def __call__(self) -> str:
        self.never_cache()
        self.request.response.setHeader("Content-Type", "application/json")
        report = self.make_report()
        data = {"verdict": report.verdict, **report.as_dict()}
        return f"{json.dumps(data, indent=2)}\n"


class HealthCheck(View):
    """Answers ok or unavailable, with the status 200 or 503."""

    def __call__(self) -> str:
        self.never_cache()
        response = self.request.response
        response.setHeader("Content-Type", "text/plain; charset=utf-8")
        if is_available(queryUtility(ISessionConfig)):
            return "ok"
        response.setStatus(503)
        return "unavailable"
