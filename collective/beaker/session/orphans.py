"""A warning of sessions that nobody finds again."""

import logging
import threading
from typing import Any

from ZPublisher.HTTPRequest import HTTPRequest


logger = logging.getLogger("collective.beaker")

_warned = threading.Event()
"""Set once this process has warned.

One line shows where to look, and there may be many such requests a second.
"""


def warn_of_orphan(request: HTTPRequest) -> None:
    """Warn if the client probably does not keep the cookie of a new session.

    Call this for a request without that cookie which has begun a session.  A
    GET request with a bearer token comes from a program, such as the
    rendering of Volto on the server, and few programs keep cookies.
    """
    # Zope takes this header out of the environment.
    authorization = request._auth or ""
    if (
        _warned.is_set()
        or request.method != "GET"
        or authorization[:7].lower() != "bearer "
    ):
        return
    _warned.set()
    logger.warning(
        "%s has begun a session in a GET request with a bearer token and "
        "without a cookie. If the client keeps no cookies, as is the case "
        "when Volto renders on the server, each such request leaves a session "
        "that nobody finds again. Store nothing in the session in GET "
        "requests; let the browser call a POST service. This is logged once.",
        _name_of(request.get("PUBLISHED")),
    )


def _name_of(published: Any) -> str:
    """Return the name of the view that answers, or that of its class."""
    view = getattr(published, "__self__", published)
    return str(getattr(view, "__name__", None) or type(view).__name__)
