"""The session of a request, as Zope's publisher and its code get it."""

from beaker.session import Session
from beaker.session import SessionObject
from zope.component import adapter
from zope.component import queryUtility
from zope.interface import classImplements
from zope.interface import implementer
from zope.publisher.interfaces import IRequest
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.interfaces import IPubAfterTraversal
from ZPublisher.interfaces import IPubBeforeAbort
from ZPublisher.interfaces import IPubFailure
from ZPublisher.interfaces import IPubStart
from ZPublisher.interfaces import IPubSuccess

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session.answers import answer_by
from collective.beaker.session.answers import copy_answer
from collective.beaker.session.answers import forget_answer
from collective.beaker.session.answers import takes_cookie
from collective.beaker.session.dumps import mask_cookies
from collective.beaker.session.request import LazySession


# Where Beaker's middleware is in front, code gets the sessions of Beaker.
classImplements(SessionObject, ISession)
classImplements(Session, ISession)


def initializeSession(
    request: HTTPRequest, environ_key: str = ENVIRON_KEY
) -> None:
    """Give a request its session, where sessions are configured.

    Nothing is read before its first use.
    """
    config = queryUtility(ISessionConfig)
    if config is not None:
        request.environ[environ_key] = LazySession(request)


def closeSession(request: HTTPRequest) -> None:
    """Store the session of a request, if it was used, and set its cookie.

    Closing twice is closing once.  A session that is not ours, such as that
    of Beaker's middleware, is left alone.
    """
    session = request.environ.get(ENVIRON_KEY)
    if isinstance(session, LazySession):
        session.close(request)


@implementer(ISession)
@adapter(IRequest)
def ZopeSession(request: IRequest) -> ISession | None:
    """Return the session of a request, or None if there is none."""
    return getattr(request, "environ", {}).get(ENVIRON_KEY)


@adapter(IPubStart)
def configureSessionOnStart(event: IPubStart) -> None:
    """Give the request its session."""
    forget_answer()
    initializeSession(event.request)


@adapter(IPubAfterTraversal)
def configureSessionAfterTraversal(event: IPubAfterTraversal) -> None:
    """Give it one if only the site, which is known now, has sessions.

    The user is known now, too.
    """
    environ = event.request.environ
    if ENVIRON_KEY not in environ:
        initializeSession(event.request)
    session = environ.get(ENVIRON_KEY)
    if isinstance(session, LazySession):
        session.is_traversed = True


@adapter(IPubBeforeAbort)
def maskSessionOnFailure(event: IPubBeforeAbort) -> None:
    """Mask the cookie in the dumps of a request that failed for good."""
    if not event.retry:
        mask_cookies(event.request)


@adapter(IPubSuccess)
def persistSessionOnSuccess(event: IPubSuccess) -> None:
    """Store the session after the transaction was committed."""
    closeSession(event.request)


@adapter(IPubFailure)
def persistSessionOnFailure(event: IPubFailure) -> None:
    """Store the session of a request that failed for good."""
    # A subscriber that runs before ours may have failed at the start.
    forget_answer()
    request, error = event.request, event.exc_info[1]
    session = request.environ.get(ENVIRON_KEY)
    if event.retry:
        if isinstance(session, LazySession):
            session.let_go()
        return
    answer_by(error)
    if not isinstance(session, LazySession):
        return
    session.takes_cookie = takes_cookie(error, request)
    closeSession(request)
    if session.accessed():
        copy_answer(request.response, session.key)
