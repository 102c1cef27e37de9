"""What the options of sessions say, read once for many requests."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from beaker.cache import clsmap
from beaker.exceptions import BeakerException

from collective.beaker.session.codec import Codec
from collective.beaker.session.codec import make_codec
from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.times import Timeouts
from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.readers import former_keys
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.base import LEEWAY_SECONDS


logger = logging.getLogger("collective.beaker")


@dataclass(frozen=True)
class Policy:
    """What sessions with certain options are made of.

    Nothing of it changes; sessions of all visitors share it.
    """

    options: Mapping[str, Any]
    """All options, also those that were not set."""

    codec: Codec
    timeouts: Timeouts
    cookies: CookieMaker
    domain: str | None
    path: str
    replaces_unreadable: bool
    """Whether a session that cannot be read is replaced by a new one."""

    @cached_property
    def store(self) -> Store:
        """Where the sessions are stored.

        It is looked for when it is needed, since it may need a server.
        """
        lasts = self.timeouts.idle or self.timeouts.absolute
        timeout = lasts + LEEWAY_SECONDS if lasts else None
        return find_store(self.options, timeout)


def make_policy(given: Mapping[str, Any]) -> Policy:
    """Return the policy for options of sessions.

    What is not given has its default.  Raises BeakerException for options
    that sessions cannot have together, which ``settings`` reports before.
    """
    options = with_defaults(given)
    if options["timeout"] and not options["save_accessed_time"]:
        raise BeakerException("timeout requires save_accessed_time")
    in_cookie = options["type"] == "cookie"
    kind = kind_of(options)
    if not (options.get("namespace_class") or kind in BACKENDS):
        # Raises KeyError for a backend that is not known.
        clsmap[kind]
    if in_cookie and not options["validate_key"]:
        raise BeakerException("A session in a cookie needs a validate_key.")
    current = "validate_key" if in_cookie else "secret"
    return Policy(
        options=options,
        codec=make_codec(options),
        timeouts=Timeouts(
            options["timeout"],
            options["absolute_timeout"],
            options["resolution_seconds"],
            options["save_accessed_time"],
        ),
        cookies=CookieMaker(
            name=options["key"],
            secrets=keys_of(options, current),
            expires=options["cookie_expires"],
            httponly=bool(options["httponly"]),
            samesite=options["samesite"],
        ),
        domain=options["cookie_domain"],
        path=options["cookie_path"],
        replaces_unreadable=options["invalidate_corrupt"],
    )


def keys_of(options: Mapping[str, Any], name: str) -> list[str]:
    """Return a key and its fallbacks; nothing where there is no key."""
    if not options[name]:
        return []
    return [options[name], *former_keys(options[f"{name}_fallbacks"])]


def warn_of_unreadable_session(error: Exception) -> None:
    """Log that a stored session could not be read."""
    # No more than the type: messages may hold an id or stored data.
    logger.warning(
        "A stored session cannot be read (%s); its visitor gets a new one.",
        type(error).__name__,
    )
