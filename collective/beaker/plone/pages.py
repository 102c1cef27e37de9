"""What plone.app.caching does with pages that are made of a session."""

import re
from typing import Any

from plone.app.caching.interfaces import IRAMCached
from plone.caching.interfaces import X_CACHE_OPERATION_HEADER
from plone.transformchain.interfaces import ITransform
from zope.component import adapter
from zope.interface import Interface
from zope.interface import implementer
from zope.interface import noLongerProvides
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession
from collective.beaker.session.answers import keep_private


_VALIDATORS = frozenset(["etag", "last-modified"])
"""Headers by which a browser asks whether what it has is still right."""

_MAX_AGE = re.compile(r"max-age=\d+", re.IGNORECASE)

_PAGES = ("text/html", "application/json")
"""Types of what is made of a session.  A plugin that reads the session in
each request does not make files and styles of it."""


@implementer(ITransform)
@adapter(Interface, Interface)
class KeepSessionsOutOfCache:
    """Has a page sent anew each time if its request has used the session.

    plone.app.caching would store it for everybody: this is the last step
    before that.  Its ETag knows nothing of the session: with one, a browser
    would show the same page after the session has changed.  What it allows
    shared caches, a viewlet cannot forbid.
    """

    order = 89999

    def __init__(self, published: Any, request: HTTPRequest):
        self._request = request

    def transformBytes(self, result: Any, encoding: str) -> None:
        request, response = self._request, self._request.response
        headers = response.headers
        # Before the session: most requests are not of these.
        if X_CACHE_OPERATION_HEADER.lower() not in headers:
            return
        session: Any = ISession(request, None)
        if session is None or not session.accessed():
            return
        noLongerProvides(request, IRAMCached)
        for name in [each for each in headers if each.lower() in _VALIDATORS]:
            del headers[name]
        if not session.is_new:
            keep_private(response)
        allowed = response.getHeader("Cache-Control")
        content_type = response.getHeader("Content-Type") or ""
        if allowed and content_type.startswith(_PAGES):
            # A browser would show it again so long without asking.
            anew = _MAX_AGE.sub("max-age=0", allowed)
            response.setHeader("Cache-Control", anew)

    transformUnicode = transformIterable = transformBytes
