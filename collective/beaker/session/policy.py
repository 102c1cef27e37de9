"""What the options of sessions say, read once for many requests."""

import logging
from collections import UserList
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from beaker.exceptions import BeakerException

from collective.beaker.session.codec import Codec
from collective.beaker.session.codec import make_codec
from collective.beaker.session.cookies import CookieMaker
from collective.beaker.session.owners import Owners
from collective.beaker.session.times import Timeouts
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.checks import DIFFER_IN_ONE_PLACE
from collective.beaker.settings.checks import class_warnings
from collective.beaker.settings.checks import differ_in_one_place
from collective.beaker.settings.cookie_rules import cookie_name
from collective.beaker.settings.options import SESSION_DEFAULTS
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.readers import former_keys
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.base import LEEWAY_SECONDS


logger = logging.getLogger("collective.beaker")

MOVED_SECONDS = 60
"""How long it is known that a session has moved to another id, and where.

That is for requests which began before it moved.
"""


@dataclass(frozen=True, repr=False)
class Policy:
    """What sessions with certain options are made of.

    It never changes, and the sessions of all visitors share it.
    """

    options: Mapping[str, Any]
    """All options, also those that were not set."""

    timeouts: Timeouts
    cookies: CookieMaker
    owners: Owners
    domain: str | None
    path: str
    in_browser: bool
    """Whether the cookie holds the session itself, and not its id."""

    replaces_unreadable: bool
    """Whether a session that cannot be read is replaced by a new one."""

    def replaces(self, error: Exception) -> bool:
        """Tell whether a new session replaces one because of this error.

        What there is no memory for can be read later.
        """
        return self.replaces_unreadable and not isinstance(error, MemoryError)

    @cached_property
    def codec(self) -> Codec:
        """Between the data of a session and what is stored of it."""
        return make_codec(self.options)

    @cached_property
    def store(self) -> Store:
        """Where the sessions are stored.

        It is looked for when it is needed, since it may need a library.
        """
        lasts = self.timeouts.idle or self.timeouts.absolute
        timeout = lasts + LEEWAY_SECONDS if lasts else None
        return find_store(self.options, timeout)


_MOST_OF_ONE_NAME = 100
"""How many policies are kept for one name of a cookie."""

_policies: dict[str, Sequence[tuple[dict[str, Any], Policy]]] = {}
"""Options and what was made of them, by the names of their cookies.

The latest come first.
"""


def policy_for(config: Mapping[str, Any]) -> Policy:
    """Return the policy for the options in force.

    Making one takes long, so it is kept.  A site that configures its own
    sessions usually has a cookie of its own, and the policy is found by the
    name of that cookie.  Sites on hosts of their own may have the same name.
    """
    given = config if type(config) is dict else dict(config)
    name = given.get("key", SESSION_DEFAULTS["key"])
    known = _policies.get(name, ())
    for options, policy in known:
        if options == given:
            return policy
    # Another thread may change them at this moment.
    kept = copied(dict(given))
    policy = make_policy(kept)
    for warning in class_warnings(policy.options):
        logger.warning("%s", warning)
    _warn_of_shared_place(name, policy)
    _policies[name] = [(kept, policy), *known][:_MOST_OF_ONE_NAME]
    return policy


def _warn_of_shared_place(name: str, policy: Policy) -> None:
    """Warn if sites with different timeouts share one place.

    It is noticed when the second one of them is first used.
    """
    for other_name, ((_, other), *_) in list(_policies.items()):
        if other_name != name and differ_in_one_place(
            policy.options, other.options
        ):
            logger.warning(
                "Sessions with session.key %r and those with %r %s",
                name,
                other_name,
                DIFFER_IN_ONE_PLACE,
            )


def copied(value: Any) -> Any:
    """Return an equal value that does not change with its original.

    Nor does it belong to a ZODB connection, as the options of a site may.
    """
    if isinstance(value, Mapping):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list | UserList):
        return [copied(each) for each in value]
    if isinstance(value, Set):
        return set(value)
    return value


def make_policy(given: Mapping[str, Any]) -> Policy:
    """Return the policy for options of sessions.

    Missing options have their defaults.  Raises LookupError if the type is
    unknown, and BeakerException if options do not go together; for zope.conf,
    ``settings`` reports both at start-up.
    """
    options = with_defaults(given)
    if options["timeout"] and not options["save_accessed_time"]:
        raise BeakerException("timeout requires save_accessed_time")
    _check_name(options["key"])
    in_browser = _is_in_browser(options)
    if in_browser and not options["validate_key"]:
        raise BeakerException("A session in a cookie needs a validate_key.")
    current = "validate_key" if in_browser else "secret"
    policy = Policy(
        options=options,
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
        owners=Owners(options["login_policy"], keys_of(options, current)),
        domain=options["cookie_domain"],
        path=options["cookie_path"],
        in_browser=in_browser,
        replaces_unreadable=options["invalidate_corrupt"],
    )
    if not _has_own_class(options):
        # Mistakes show now, and not when the first session is read.
        _ = policy.codec
    return policy


def _has_own_class(options: Mapping[str, Any]) -> bool:
    """Tell whether another package's class knows what the options mean."""
    return options.get("session_class") is not None


def _check_name(name: Any) -> None:
    try:
        cookie_name(name if isinstance(name, str) else "")
        return
    except ValueError as error:
        reason = error
    raise BeakerException(f"session.key is {name!r}; it must be {reason}.")


def _is_in_browser(options: Mapping[str, Any]) -> bool:
    try:
        return backend_of(options).in_browser
    except LookupError as error:
        reason = error
    if _has_own_class(options):
        return False
    raise LookupError(f"session.type is {kind_of(options)!r}: {reason}.")


def keys_of(options: Mapping[str, Any], name: str) -> list[str]:
    """Return a key and its fallbacks; nothing if there is no key."""
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


def warn_of_bad_signature(client_address: str) -> None:
    """Log that a visitor's cookie has a signature that is not ours."""
    logger.warning(
        "The cookie of a session has a wrong signature; its visitor (%s) gets "
        "a new session.",
        client_address,
    )
