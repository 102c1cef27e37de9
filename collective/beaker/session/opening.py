"""How the session of a request is opened, by the options that hold for it."""

import os
from collections import UserList
from collections.abc import Mapping
from collections.abc import Set
from typing import Any

import beaker.session

from collective.beaker.session.content import PRESENTED
from collective.beaker.session.content import Content
from collective.beaker.session.content import warn_of_unreadable_session
from collective.beaker.session.cookies import cookie_header
from collective.beaker.session.in_cookie import CookieSession
from collective.beaker.session.stored import Session
from collective.beaker.settings.options import OWN_OPTIONS
from collective.beaker.settings.options import SESSION_DEFAULTS


class Opener:
    """Opens sessions with certain options.

    To read options takes longer than all else.  It is done once, for a
    session that nobody uses, and the others are made like that one.
    """

    def __init__(self, given: dict[str, Any]):
        self._given = given
        self.options = SESSION_DEFAULTS | given
        self._arguments = self.options | {
            "secure": self.options["secure"] is True
        }
        # One that code gives, for all visitors; the model is nobody's.
        self._id = self.options.get("id")
        self._class = self.options.get("session_class")
        self._model: Content | None = None
        if self._class is None:
            cookie_only = self.options["type"] == "cookie"
            make = CookieSession if cookie_only else Session
            self._model = make(
                {PRESENTED: ""}, **self._arguments | {"id": None}
            )

    def fits(self, given: dict[str, Any]) -> bool:
        """Tell whether these are its options."""
        return self._given == given

    def open(self, value: str) -> beaker.session.Session:
        """Return the session of a cookie's value, or a new one.

        Raises StoreUnavailable.
        """
        if self._model is not None:
            return self._model.alike({PRESENTED: value}, self._id)
        if issubclass(self._class, Content):
            return self._class({PRESENTED: value}, **self._arguments)
        return _open_foreign(self._class, self._arguments, value)


_openers: dict[str, Opener] = {}

# A process that was forked must not use its parent's connections.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_openers.clear)


def find_opener(config: Mapping[str, Any]) -> Opener:
    """Return the opener for the options in force.

    Sites with sessions of their own have a cookie of their own, by whose
    name it is found again.
    """
    given = dict(config)
    name = given.get("key", SESSION_DEFAULTS["key"])
    opener = _openers.get(name)
    if opener is None or not opener.fits(given):
        opener = _openers[name] = Opener(_copied(given))
    return opener


def _copied(value: Any) -> Any:
    """Return an equal value that stays the same when its original changes.

    Nor does it belong to a connection to the ZODB, as that of a site may.
    """
    if isinstance(value, Mapping):
        return {key: _copied(each) for key, each in value.items()}
    if isinstance(value, list | UserList):
        return [_copied(each) for each in value]
    if isinstance(value, Set):
        return set(value)
    return value


def _open_foreign(
    session_class: type[beaker.session.Session],
    options: dict[str, Any],
    value: str,
) -> beaker.session.Session:
    """Return a session of a class that knows Beaker's options only."""
    header = cookie_header(options["key"], value)
    exchange = {"cookie": header, "cookie_out": None, "set_cookie": False}
    known = {
        name: value
        for name, value in options.items()
        if name not in OWN_OPTIONS
    }
    try:
        session = session_class(
            exchange, **known | {"invalidate_corrupt": False}
        )
    except Exception as error:
        if not value or not options["invalidate_corrupt"]:
            raise
        warn_of_unreadable_session(error)
        session = session_class(exchange | {"cookie": ""}, **known)
    if session.is_new:
        # An expired session is replaced, but not before something is saved.
        session.request["set_cookie"] = False
    return session
