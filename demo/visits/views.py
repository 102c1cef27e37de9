"""The page of the demo and its buttons."""

import time
from collections.abc import Callable
from functools import wraps
from inspect import getsource

from AccessControl import getSecurityManager
from Products.Five.browser import BrowserView
from zope.component import getUtility

from collective.beaker.documentation import page_url
from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISession
from collective.beaker.session.owners import current_user
from visits import examples
from visits.database import NEWS


class Page(BrowserView):
    """The start page shows what is in the session and in the cache."""

    def __call__(self) -> str:
        examples.count_visit(self.request)
        self.session = ISession(self.request)
        self.number = examples.draw_number()
        self.teaser = examples.teaser(self.context[NEWS])
        self.hits, self.misses, self.saved = examples.figures()
        # The page is personal: no cache on its way may keep it.
        self.request.response.setHeader("Cache-Control", "no-store")
        return self.index()

    def code(self, *names: str) -> str:
        """Return the source of functions that the page shows."""
        functions = [getattr(examples, name) for name in names]
        return "\n".join(map(getsource, functions)).rstrip()

    def documentation(self, page: str) -> str:
        return page_url(page)

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

    def user(self) -> str | None:
        """Return the name of the user, or None for anonymous visitors."""
        if current_user() is None:
            return None
        return getSecurityManager().getUser().getUserName()

    def other_devices(self) -> int:
        return examples.count_other_devices(current_user(), self.session.id)


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
            self.show(section)

        return publish

    return decorate


class Actions(BrowserView):
    """What the buttons of the page do."""

    def show(self, section: str) -> None:
        """Redirect to a section of the page."""
        url = f"{self.context.absolute_url()}/#{section}"
        self.request.response.redirect(url, status=303)

    @on_post("note")
    def save_note(self) -> None:
        examples.keep_note(self.request, self.request.form.get("note", ""))

    @on_post("number")
    def refresh_number(self) -> None:
        examples.refresh_number()

    @on_post("teaser")
    def edit_news(self) -> None:
        title = self.request.form.get("title", "")
        examples.edit(self.context[NEWS], title)

    def log_in(self) -> None:
        """Redirect; Zope has asked for a name and a password before that."""
        # To be stored, a session of nobody becomes that of the user.
        ISession(self.request).save()
        self.show("devices")

    @on_post("devices")
    def log_out_other_devices(self) -> None:
        user, id = current_user(), ISession(self.request).id
        if user is not None:
            examples.log_out_other_devices(user, id)

    @on_post("session")
    def invalidate_session(self) -> None:
        examples.start_again(self.request)

    @on_post("session")
    def delete_session(self) -> None:
        examples.leave(self.request)
