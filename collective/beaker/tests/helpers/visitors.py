"""What a visitor has: the session cookie, and the session behind it."""

from http.cookies import SimpleCookie

from collective.beaker.interfaces import ISession
from collective.beaker.session.moves import read_tombstone
from collective.beaker.session.policy import policy_for


COOKIE = "beaker.session.id"


def session_cookie(response, name=COOKIE):
    """Return the session cookie that a response sets, or None."""
    cookies = all_session_cookies(response, name)
    assert len(cookies) < 2, "two cookies for the session in one response"
    return cookies[0] if cookies else None


def session_id(visitor):
    """Return the id in a visitor's cookie, where a signature precedes it."""
    return visitor.cookies[COOKIE][-32:]


def all_session_cookies(response, name=COOKIE):
    """Return all cookies of that name that a response sets."""
    return [
        SimpleCookie(value)[name]
        for key, value in response.headers.items()
        if key.lower() == "set-cookie" and value.startswith(f"{name}=")
    ]


def is_tombstone(config, id):
    """Tell whether a session has moved away from an id."""
    policy = policy_for(config)
    return read_tombstone(policy, policy.store.load(id)) is not None


def data_of(visitor):
    """Return a visitor's session without Beaker's own keys."""
    found = {}

    def look(request):
        found.update(ISession(request))

    visitor.visit(look)
    return {
        key: value for key, value in found.items() if not key.startswith("_")
    }
