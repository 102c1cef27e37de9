"""The token of a form, without which a button does nothing.

It keeps other sites from pressing a button in the browser of someone who is
logged in (OWASP: cross-site request forgery).  In a Plone site it is the token
of plone.protect; elsewhere it is one of our own.  Either is valid for one
user of one user folder, and for the page of one site.
"""

import json
from typing import Protocol

from OFS.interfaces import IApplication
from OFS.SimpleItem import Item
from zope.component import queryMultiAdapter
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.browser.seals import seal
from collective.beaker.browser.seals import unseal
from collective.beaker.browser.seals import user_key


FIELD = "_authenticator"
"""The name of the form field, as in plone.protect."""

_PURPOSE = "button"
"""What a token is for."""


class Protector(Protocol):
    """What we use of plone.protect's view."""

    def token(self, extra: str = "") -> str:
        """Return a token, which is valid for ``extra`` only."""

    def verify(self, extra: str = "") -> bool:
        """Tell whether the request has a valid token."""


def make_token(context: Item, request: HTTPRequest) -> str:
    """Return a token for a form."""
    protector = _protector(context, request)
    purpose = _purpose(context)
    return protector.token(purpose) if protector else seal(purpose)


def has_valid_token(context: Item, request: HTTPRequest) -> bool:
    """Tell whether a form has the token that was made for it."""
    protector = _protector(context, request)
    purpose = _purpose(context)
    if protector:
        return protector.verify(purpose)
    token = request.form.get(FIELD)
    return isinstance(token, str) and unseal(purpose, token) is not None


def _purpose(context: Item) -> str:
    """Return the only purpose that a token has.

    By itself, plone.protect would only ask for a user of the same name.
    """
    path = "/".join(context.getPhysicalPath())
    return json.dumps([_PURPOSE, path, user_key()])


def _protector(context: Item, request: HTTPRequest) -> Protector | None:
    """Return plone.protect's view; None outside a Plone site."""
    if IApplication.providedBy(context):
        return None
    view: Protector | None = queryMultiAdapter(
        (context, request), name="authenticator"
    )
    return view
