"""What happens to the session of a request when a user logs in or out.

The rule of ``session.login_policy`` holds without these events, whatever way
a user logs in.  They apply it at once.
"""

import logging
from collections.abc import Mapping
from typing import Any

import transaction
from Acquisition import aq_inner
from Acquisition import aq_parent
from Products.PluggableAuthService.interfaces.authservice import (
    IPluggableAuthService,
)
from Products.PluggableAuthService.interfaces.events import (
    ICredentialsUpdatedEvent,
)
from Products.PluggableAuthService.interfaces.events import (
    IPrincipalDeletedEvent,
)
from Products.PluggableAuthService.interfaces.events import IUserLoggedInEvent
from Products.PluggableAuthService.interfaces.events import IUserLoggedOutEvent
from Products.PluggableAuthService.interfaces.plugins import (
    ICredentialsResetPlugin,
)
from zExceptions import HTTPServiceUnavailable
from zope.component import adapter
from zope.component import queryUtility
from zope.component.hooks import getSite
from zope.globalrequest import getRequest
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.interfaces import IPubFailure
from ZPublisher.interfaces import IPubSuccess

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.session.answers import has_page
from collective.beaker.session.owners import OFF
from collective.beaker.session.owners import name_of
from collective.beaker.session.owners import name_of_path
from collective.beaker.session.owners import user_of
from collective.beaker.session.request import LazySession
from collective.beaker.settings.options import with_defaults


logger = logging.getLogger("collective.beaker")


def _session() -> LazySession | None:
    request = getRequest()
    environ = getattr(request, "environ", {})
    session = environ.get(ENVIRON_KEY)
    return session if isinstance(session, LazySession) else None


@adapter(IUserLoggedInEvent)
def giveSessionToUser(event: IUserLoggedInEvent) -> None:
    """Give the session of the request a new id, and to the user."""
    session, user = _session(), name_of(event.principal)
    if session is not None and user is not None:
        session.log_in(user)


@adapter(IUserLoggedOutEvent)
def endSessionOfUser(event: IUserLoggedOutEvent) -> None:
    """End the session of the request."""
    session = _session()
    if session is not None:
        session.log_out()


@adapter(IPubSuccess)
def endSessionOfUntoldLogout(event: IPubSuccess) -> None:
    """End the session of a request that takes the cookie of a login away.

    So do the logouts of pas.plugins.oidc and of the ZMI, which tell nobody.
    After one that was told, there may be a new session by now.  It is asked
    at the very end: a transaction that was not committed has undone what was
    told, but not the answer.
    """
    if not event.request.response.cookies:
        # As in most requests.
        return
    session = _session()
    if session is None or session.is_told_of_user:
        return
    if _takes_login_away(event.request):
        session.log_out()


@adapter(IPubFailure)
def endSessionOfFailedLogout(event: IPubFailure) -> None:
    """End it also if the request fails, or raises a redirect.

    Plone has a page for each of them, so the cookie is taken away.  Without
    one the login goes on.  The page of an outage is to be shown.
    """
    if event.retry or not has_page(event.exc_info[1], event.request):
        return
    session = _session()
    if session is not None and not session.is_unavailable:
        endSessionOfUntoldLogout(event)


def _takes_login_away(request: HTTPRequest) -> bool:
    """Tell whether the response removes the cookie that keeps a login."""
    cookies = request.response.cookies
    removed = [name for name in cookies if cookies[name].get("Max-Age") == "0"]
    if not removed or user_of(request) is None:
        return False
    folder = aq_parent(aq_inner(request["AUTHENTICATED_USER"]))
    if not IPluggableAuthService.providedBy(folder):
        return False
    return any(
        getattr(plugin, "cookie_name", None) in removed
        for _, plugin in folder.plugins.listPlugins(ICredentialsResetPlugin)
    )


@adapter(ICredentialsUpdatedEvent)
def endOtherSessionsOfUser(event: ICredentialsUpdatedEvent) -> None:
    """End all other sessions of a user who has a new password.

    Somebody may have known the former one.
    """
    failure = (
        "A user has a new password, but other sessions of this user could "
        "not be ended: %s"
    )
    if event.principal is None:
        logger.warning(failure, "no plugin of acl_users finds the user by id")
        return
    user = name_of(event.principal)
    if user is not None:
        _end_sessions(user, failure, keeps_own=True)


@adapter(IPrincipalDeletedEvent)
def endSessionsOfDeletedUser(event: IPrincipalDeletedEvent) -> None:
    """End all sessions of a user of the site who is no more.

    Somebody else may get the id.  Plone tells nothing but that.
    """
    folder = getattr(getSite(), "acl_users", None)
    if folder is not None:
        _end_sessions(
            name_of_path("/".join(folder.getPhysicalPath()), event.principal),
            "A user was deleted, but the sessions of this user could not be "
            "ended: %s",
        )


def _end_sessions(user: str, failure: str, keeps_own: bool = False) -> None:
    """End all sessions of a user, once the transaction is committed.

    Until then nothing has happened to the user, who goes on if it fails.
    ``failure`` is the message for the log if that cannot be done.  With
    ``keeps_own``, the session of a request of this user stays, who may log in
    after the event.
    """
    config = queryUtility(ISessionConfig)
    if config is None:
        return
    options = with_defaults(config)
    if options["login_policy"] == OFF:
        return
    session = _session() if keeps_own else None

    def end(is_committed: bool) -> None:
        if is_committed:
            _end_all_but(session, options, user, failure)

    transaction.get().addAfterCommitHook(end)


def _end_all_but(
    session: LazySession | None,
    options: Mapping[str, Any],
    user: str,
    failure: str,
) -> None:
    """End all sessions of a user but this, if its request is the user's."""
    keep = set[str]()
    try:
        if session is not None and session.is_of(user):
            # Code may have given it a new id, under which it is not stored
            # yet.
            keep = session.ids()
        for _ in end_sessions_of_user(options, user, keep):
            pass
    except (
        CannotMaintain,
        HTTPServiceUnavailable,
        StoreUnavailable,
    ) as error:
        logger.warning(failure, error)
