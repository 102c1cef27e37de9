"""Keep session cookies out of the dumps that are made of a request."""

from collections.abc import Iterator
from typing import Any

from zope.component import getGlobalSiteManager
from zope.component import queryUtility
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session.cookies import has_form_of_session
from collective.beaker.session.request import LazySession
from collective.beaker.settings.options import with_defaults


MASK = "(hidden)"
"""What a dump shows in place of a cookie."""


def mask_cookies(request: HTTPRequest) -> None:
    """Mask the session cookies of a request that has failed for good.

    Zope's error log keeps a dump of each of these.  Call this when no code of
    the application needs the request any more: until then it must see what
    the browser sent.  The session of the request keeps what it knows.

    The options of other sites, of which the visitor may have a cookie, too,
    are not at hand.  Such a cookie is known by its form.
    """
    in_force = {*_names_in_force(request)}
    masked = {
        name: MASK
        for name, value in request.cookies.items()
        if name in in_force or has_form_of_session(value)
    }
    if masked:
        request.cookies = request.cookies | masked
    environ = request.environ
    if "HTTP_COOKIE" in environ:
        # Malformed cookies, too, may hold an id.
        header, environ["HTTP_COOKIE"] = environ["HTTP_COOKIE"], MASK
        for name in _kept_by_middleware(environ, header):
            del environ[name]


def _kept_by_middleware(environ: dict[str, Any], header: str) -> list[str]:
    """Return under which names cookies are kept that were parsed before Zope.

    WebOb and Paste keep them beside the header that they were made of.
    """
    return [
        name
        for name, value in environ.items()
        if isinstance(value, tuple) and header in value
    ]


def _names_in_force(request: HTTPRequest) -> Iterator[str]:
    """Yield the names of session cookies, of the site and of the Zope."""
    session = request.environ.get(ENVIRON_KEY)
    if isinstance(session, LazySession) and session.accessed():
        yield session.key
    for utilities in (queryUtility, getGlobalSiteManager().queryUtility):
        config = utilities(ISessionConfig)
        if config is not None:
            yield with_defaults(config)["key"]
