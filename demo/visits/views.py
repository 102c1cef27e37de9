"""The page of the demo and its buttons: sessions and caches in views."""

import random
import time
from collections.abc import Callable
from functools import wraps

from beaker.cache import cache_region
from beaker.cache import region_invalidate
from Products.Five.browser import BrowserView
from zope.component import getUtility

from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISession


@cache_region("short")
def draw_number() -> dict[str, float]:
    """Draw a number. It is cached: all visitors see the same for a while."""
    return {"value": random.randint(1, 999), "drawn": time.time()}


class Page(BrowserView):
    """The start page shows what is in the session and in the cache."""

    def __call__(self) -> str:
        self.session = ISession(self.request)
        self.session["visits"] = self.session.get("visits", 0) + 1
        self.session.save()
        self.number = draw_number()
        # The page is personal: no cache on its way may keep it.
        self.request.response.setHeader("Cache-Control", "no-store")
        return self.index()

    def age(self, since: float) -> str:
        return self.duration(time.time() - since)

    def duration(self, seconds: float) -> str:
        """Return a time in words, in its largest whole unit."""
        for unit, length in (("hour", 3600), ("minute", 60), ("second", 1)):
            count = int(seconds // length)
            if count:
                return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
        return "0 seconds"

    def expire(self) -> int | None:
        """Return how many seconds zope.conf has the number cached."""
        return getUtility(ICacheManager).regions["short"]["expire"]


def on_post(section: str) -> Callable:
    """Run a method only on POST.

    The response redirects to a section of the page, so that reloading it
    repeats nothing.
    """

    def decorate(change: Callable) -> Callable:
        @wraps(change)
        def publish(self) -> None:
            if self.request.method == "POST":
                change(self)
            url = f"{self.context.absolute_url()}/#{section}"
            self.request.response.redirect(url, status=303)

        return publish

    return decorate


class Actions(BrowserView):
    """What the buttons of the page do."""

    @on_post("note")
    def save_note(self) -> None:
        session = ISession(self.request)
        session["note"] = self.request.form.get("note", "")
        session.save()

    @on_post("session")
    def delete_session(self) -> None:
        ISession(self.request).delete()

    @on_post("session")
    def invalidate_session(self) -> None:
        session = ISession(self.request)
        session.invalidate()
        session.save()

    @on_post("number")
    def refresh_number(self) -> None:
        region_invalidate(draw_number, "short")
