"""Sealed texts, with which the page recognizes what it made for a user.

A seal is an HMAC with the secret of the sessions, so that all processes of a
site accept it.  Without a secret, each process has a key of its own.
"""

import hmac
import json
import secrets
import time
from base64 import urlsafe_b64decode
from base64 import urlsafe_b64encode

from AccessControl import getSecurityManager
from Acquisition import aq_inner
from Acquisition import aq_parent
from zope.component import queryUtility

from collective.beaker.interfaces import ISessionConfig


LIFETIME_SECONDS = 8 * 3600
"""How long a sealed text is accepted."""

_PROCESS_KEY = secrets.token_hex()
"""The key that is used if there is no secret."""


def seal(purpose: str, text: str = "") -> str:
    """Return a text with a seal for the user who is logged in.

    The result has only characters that are allowed in a cookie.
    """
    content = json.dumps([int(time.time()), text]).encode()
    body = urlsafe_b64encode(content).decode().rstrip("=")
    return f"{body}.{_mac(purpose, body)}"


def unseal(purpose: str, sealed: str) -> str | None:
    """Return the text; None if the seal is wrong or too old."""
    body, _, mac = sealed.partition(".")
    if not hmac.compare_digest(
        _mac(purpose, body).encode(), mac.encode(errors="replace")
    ):
        return None
    made, text = json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return text if time.time() < made + LIFETIME_SECONDS else None


def user_key() -> list[str | None]:
    """Return what no other user has: the user's names and the user folder.

    Users of two folders may have the same name.
    """
    user = getSecurityManager().getUser()
    folder = aq_parent(aq_inner(user))
    path = "" if folder is None else "/".join(folder.getPhysicalPath())
    return [user.getId(), user.getUserName(), path]


def _mac(purpose: str, body: str) -> str:
    message = json.dumps(["collective.beaker", purpose, user_key(), body])
    return hmac.new(
        _signing_key().encode(), message.encode(), "sha256"
    ).hexdigest()


def _signing_key() -> str:
    options = queryUtility(ISessionConfig) or {}
    return options.get("secret") or options.get("validate_key") or _PROCESS_KEY
