"""The sessions of the user who is logged in, and the page @@my-sessions."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from datetime import timezone

from AccessControl import Unauthorized
from Products.statusmessages.interfaces import IStatusMessage
from zExceptions import Forbidden
from zope.component import getMultiAdapter
from zope.component import queryUtility
from zope.i18nmessageid import Message
from zope.i18nmessageid import MessageFactory
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.base import View
from collective.beaker.browser.tokens import FIELD
from collective.beaker.browser.tokens import has_valid_token
from collective.beaker.browser.tokens import make_token
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.users import UserSession
from collective.beaker.maintenance.users import end_session_of_user
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import list_sessions_of_user
from collective.beaker.plone.tickets import end_other_logins
from collective.beaker.plone.tickets import logins_end_here
from collective.beaker.session.answers import unavailable
from collective.beaker.session.owners import current_user
from collective.beaker.session.request import LazySession
from collective.beaker.settings.options import with_defaults


logger = logging.getLogger("collective.beaker")

_ = MessageFactory("collective.beaker")


class MySessions:
    """The sessions of the user of a request, and nobody else's.

    Raises Unauthorized if nobody is logged in.  Its methods raise
    CannotMaintain if these sessions cannot be listed, and
    HTTPServiceUnavailable if they cannot be reached.
    """

    def __init__(self, request: HTTPRequest):
        user = current_user()
        if user is None:
            raise Unauthorized("Log in to see where you are signed in.")
        self._user = user
        self._request = request
        self._session = ISession(request, None)

    def list(self) -> list[UserSession]:
        """Return the sessions, the one last used first."""
        with _outages_answered():
            return list_sessions_of_user(self._options(), self._user)

    def is_current(self, session: UserSession) -> bool:
        """Tell whether this is the session of the request."""
        return session.id in self._current_ids()

    def end(self, token: str) -> bool:
        """End the session that a token names; tell whether there was one."""
        with _outages_answered():
            ended = end_session_of_user(self._options(), self._user, token)
        if ended:
            end_other_logins(self._request)
        return ended

    def end_others(self) -> int:
        """End all sessions but that of the request; return their number."""
        options, keep = self._options(), self._current_ids()
        with _outages_answered():
            *_, number = end_sessions_of_user(options, self._user, keep)
        end_other_logins(self._request)
        return number

    def _current_ids(self) -> set[str]:
        session = self._session
        return session.ids() if isinstance(session, LazySession) else set()

    def _options(self) -> dict[str, object]:
        config = queryUtility(ISessionConfig)
        if config is None:
            raise CannotMaintain("No sessions are configured.")
        return with_defaults(config)


@contextmanager
def _outages_answered() -> Iterator[None]:
    try:
        yield
    except StoreUnavailable as error:
        logger.error("%s", error)
        raise unavailable() from None


class MySessionsPage(View):
    """Shows users where they are signed in, and signs them out there."""

    token_field = FIELD
    sessions: list[UserSession] | None
    """None if they cannot be listed."""

    def __call__(self) -> str:
        self.never_cache()
        self._mine = MySessions(self.request)
        if self.request.method == "POST":
            return self._change()
        try:
            self.sessions = self._mine.list()
        except CannotMaintain:
            self.sessions = None
        page: str = self.index()
        return page

    def _change(self) -> str:
        """Do what a button says, and have the page say what was done."""
        if not has_valid_token(self.context, self.request):
            raise Forbidden("The form is too old, or of another site.")
        try:
            done, kind = self._press(), "info"
        except CannotMaintain:
            done, kind = _CANNOT_BE_LISTED, "error"
        IStatusMessage(self.request).add(done, type=kind)
        self.request.response.redirect(self.url(), status=303)
        return ""

    def _press(self) -> Message:
        form = self.request.form
        if "end_others" in form:
            number = self._mine.end_others()
            return _(
                "Signed out everywhere else: ${number} sessions have ended.",
                mapping={"number": number},
            )
        token = form.get("end")
        if isinstance(token, str) and self._mine.end(token):
            return _("Signed out there: the session has ended.")
        return _("This session had already ended.")

    def url(self) -> str:
        return f"{self.context.absolute_url()}/@@my-sessions"

    def token(self) -> str:
        return make_token(self.context, self.request)

    def is_current(self, session: UserSession) -> bool:
        return self._mine.is_current(session)

    def logins_end_here(self) -> bool:
        return logins_end_here()

    def time(self, seconds: float) -> str:
        """Return a time as the site shows times."""
        plone = getMultiAdapter((self.context, self.request), name="plone")
        shown: str = plone.toLocalizedTime(seconds, long_format=True)
        return shown

    def iso_time(self, seconds: float) -> str:
        return iso_time(seconds)


_CANNOT_BE_LISTED = _(
    "This site keeps sessions where they cannot be listed or ended one by one."
)


def iso_time(seconds: float) -> str:
    """Return a time as programs read it."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat()
