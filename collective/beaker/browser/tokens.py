"""The token of a form, without which a button does nothing.

It keeps other sites from pressing a button in the browser of someone who is
logged in (OWASP: cross-site request forgery).  In a Plone site it is the token
of plone.protect; elsewhere it is one of our own.
"""

from typing import Protocol

from OFS.interfaces import IApplication
from OFS.SimpleItem import Item
from zExceptions import Forbidden
from zope.component import queryMultiAdapter
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.seals import seal
from collective.beaker.browser.seals import unseal


FIELD = "_authenticator"
"""The name of the form field, as in plone.protect."""

_PURPOSE = "button"
"""The purpose of the seal."""


class Protector(Protocol):
    """What we use of plone.protect's view."""

    def token(self) -> str:
        """Return a token."""

    def verify(self) -> bool:
        """Tell whether the request has a valid token."""


def make_token(context: Item, request: HTTPRequest) -> str:
    """Return a token for a form."""
    protector = _protector(context, request)
    return protector.token() if protector else seal(_PURPOSE)


def check_token(context: Item, request: HTTPRequest) -> None:
    """Raise Forbidden if a form has no token, or a wrong one."""
    protector = _protector(context, request)
    if protector:
        is_valid = protector.verify()
    else:
        token = request.form.get(FIELD)
        is_valid = isinstance(token, str) and (
            unseal(_PURPOSE, token) is not None
        )
    if not is_valid:
        raise Forbidden(
            "The form is too old, or comes from another site. Open the page "
            "again and press the button there. If this still happens, set "
            "session.secret, so that all processes of Zope accept the form."
        )


def _protector(context: Item, request: HTTPRequest) -> Protector | None:
    """Return plone.protect's view; None outside a Plone site."""
    if IApplication.providedBy(context):
        return None
    view: Protector | None = queryMultiAdapter(
        (context, request), name="authenticator"
    )
    return view
