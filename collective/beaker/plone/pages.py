"""What plone.app.caching must not keep: pages that are made of a session."""

from typing import Any

from plone.app.caching.interfaces import IRAMCached
from plone.transformchain.interfaces import ITransform
from zope.component import adapter
from zope.interface import Interface
from zope.interface import implementer
from zope.interface import noLongerProvides
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession


_VALIDATORS = frozenset(["etag", "last-modified"])
"""Headers by which a browser asks whether what it has is still right."""


@implementer(ITransform)
@adapter(Interface, Interface)
class KeepSessionsOutOfRAM:
    """Keeps a page for its visitor if the request has used the session.

    It is the last step before plone.app.caching would store it for everybody.
    Its ETag knows nothing of the session, so the page has none: the visitor
    would get it again after the session has changed.
    """

    order = 89999

    def __init__(self, published: Any, request: HTTPRequest):
        self._request = request

    def transformBytes(self, result: Any, encoding: str) -> None:
        request = self._request
        # Before the session: most requests are not marked.
        if not IRAMCached.providedBy(request):
            return
        session: Any = ISession(request, None)
        if session is None or not session.accessed():
            return
        noLongerProvides(request, IRAMCached)
        headers = request.response.headers
        for name in [each for each in headers if each.lower() in _VALIDATORS]:
            del headers[name]

    transformUnicode = transformIterable = transformBytes
