"""The token of a form, without which a button does nothing.

It keeps other sites from pressing a button with the browser of somebody who is
logged in (OWASP: cross-site request forgery).  In a Plone site it is that of
plone.protect; elsewhere it is one of our own.
"""

from typing import Any

from OFS.interfaces import IApplication
from zExceptions import Forbidden
from zope.component import queryMultiAdapter
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.seals import seal
from collective.beaker.browser.seals import unseal


FIELD = "_authenticator"
"""The name of the form's field; it is plone.protect's."""

_PURPOSE = "button"


def make_token(context: Any, request: HTTPRequest) -> str:
    """Return a token for a form."""
    protector = _protector(context, request)
    return protector.token() if protector else seal(_PURPOSE)


def check_token(context: Any, request: HTTPRequest) -> None:
    """Raise Forbidden for a form without a token or with a wrong one."""
    protector = _protector(context, request)
    if protector:
        is_right = protector.verify()
    else:
        token = request.form.get(FIELD)
        is_right = isinstance(token, str) and (
            unseal(_PURPOSE, token) is not None
        )
    if not is_right:
        raise Forbidden(
            "The form is too old, or is none of this site. Open the page "
            "anew, and press the button there. If this happens again, set "
            "session.secret, so that all processes of Zope accept the form."
        )


def _protector(context: Any, request: HTTPRequest) -> Any:
    """Return the view of plone.protect, or None where it has no keys."""
    if IApplication.providedBy(context):
        return None
    return queryMultiAdapter((context, request), name="authenticator")
