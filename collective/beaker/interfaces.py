"""The public contracts of collective.beaker.

This module is the reference: what each component does, when a method is
called and what it raises.  Implementations only say which interface they
follow.
"""

from zope.interface import Attribute
from zope.interface import Interface
from zope.interface.common.collections import IMutableMapping


ENVIRON_KEY = "beaker.session"
"""Where the session of a request is found in ``request.environ``.

The name is that of Beaker's ``SessionMiddleware``, so that code written for
the middleware finds the session under this package too.
"""


class StoreUnavailable(Exception):
    """A store of sessions, or of a cache, cannot be used now.

    It names the backend, its address without credentials, and the reason.
    """

    def __init__(self, kind: str, address: str, reason: str):
        super().__init__(kind, address, reason)

    def __str__(self) -> str:
        kind, address, reason = self.args
        return f"The store {kind} ({address}) fails: {reason}."


class StoreLocked(StoreUnavailable):
    """Somebody else holds the lock of a session for too long."""


class RecordTooLarge(ValueError):
    """A session is larger than its store takes.

    It names the limit, the size and the remedy.
    """


class IStore(Interface):
    """A place where sessions are stored, each as one record.

    Reading and decoding are two steps: a store returns what is stored, and
    raises ``StoreUnavailable`` if that cannot be had.  An ``id`` is in the
    form of session ids.
    """

    kind = Attribute("The name of the backend, such as ext:redis.")
    address = Attribute("Where it is, without credentials.")

    def load(id):
        """Return the ``Record`` of a session, or None if there is none."""

    def payload(record):
        """Return the text that a record holds, or None if it holds none.

        Nothing in a record is executed.  Raises any exception for a record
        that cannot be read.
        """

    def swap(id, old, new):
        """Store the text ``new`` if the record is still ``old``.

        Returns whether it was.  ``old`` comes from ``load``; None means that
        there is no record yet.  If ``new`` is None the record is removed.
        Raises ``RecordTooLarge``.
        """

    def delete(id):
        """Remove a record, if there is one."""

    def walk():
        """Yield the id and the record of each stored session.

        Raises ``NotImplementedError`` where a backend cannot list them.
        """

    def lock(id, payload=""):
        """Return a context in which nobody else holds this lock.

        It keeps those apart who ask for it, and stops no swap.  Where the
        lock is a record itself, ``payload`` is stored in it: what the store
        does not take is refused now.  Raises as ``swap``.
        """

    # For those who look after the store

    place = Attribute(
        "What only stores that keep their records in one place have in "
        "common: a value with a hash."
    )

    def walk_all():
        """Yield names and records as ``walk``, those of locks included."""

    def estimate():
        """Return about how many records and files there are, or None."""

    def is_over(record):
        """Tell whether a record that is a lock has nobody who holds it."""

    def remove(records):
        """Remove those of several records that are still what they were.

        ``records`` are names and records, as ``walk_all`` yields them.
        Returns how many were removed.
        """

    def clean_up(dry_run=False):
        """Remove what killed processes have left beside the records.

        Yields a ``Leftover`` for each piece that was removed, or would be
        with ``dry_run``, and None for each that must stay.
        """

    def take_turn(owner, seconds):
        """Tell whether it is the owner's turn to look after the store.

        For so many seconds it is nobody else's then.  An owner may come
        again, and then has it for so many seconds from now on.
        """

    def clear_caches():
        """Remove all that caches keep here, and no session.

        Returns how many pieces were removed.  Raises ``NotImplementedError``
        where a backend cannot tell.
        """


class ISession(IMutableMapping):
    """The session of one visitor, as seen by one request.

    ``ISession(request)`` gives it, always the same object for one request.
    Nothing is read from the store before the first use.

    It is a mutable mapping; keys are strings by convention.  A change is
    kept if ``save`` is called or the option ``auto`` is on.  A change inside
    a stored value is kept without.  Changes are stored key by key, so that
    requests which run at the same time keep each other's.  The keys
    ``_creation_time``, ``_accessed_time``, ``_domain``, ``_path`` and ``_id``
    are Beaker's own; they are seen among the others and cannot be removed.

    Any use may raise ``zExceptions.HTTPServiceUnavailable``: the store cannot
    be reached.

    A session is true, even when it is empty or new, so that
    ``if session and key in session`` works.
    """

    id = Attribute("The session's identifier, a string of hexadecimal digits.")
    is_new = Attribute("True if no stored session was found for the visitor.")
    created = Attribute("When the session was created: seconds since 1970.")
    last_accessed = Attribute(
        "When the session was used before this request: seconds since 1970, "
        "or None in a new session. It may be as many seconds behind as the "
        "option resolution_seconds says."
    )
    domain = Attribute("The Domain of the cookie, or None. May be set.")
    path = Attribute("The Path of the cookie. May be set.")

    def accessed():
        """Tell whether this request has used the session."""

    def save():
        """Keep the changes of this request.

        They are stored when the request ends, whether it succeeds, redirects
        or fails; not if Zope retries it.  With the option ``transactional``
        they are stored if the transaction of the request is committed.

        At that time a value that cannot be stored raises ``TypeError``, too
        much data raises ``RecordTooLarge``.
        """

    def delete():
        """End the session and have the visitor's browser drop its cookie.

        The record is removed when the request ends.  What is assigned after
        this is not kept.
        """

    def invalidate():
        """End the session and start a new, empty one under a new id.

        Nothing is found under the old id any more.
        """

    def regenerate_id():
        """Give the session a new id and keep its data.

        Nothing is found under the old id any more.  Do this when a visitor
        logs in, against session fixation (OWASP).
        """

    def get_by_id(id):
        """Return another stored session, or None if there is none.

        The result is a ``beaker.session.Session``; its ``save``, ``delete``
        and ``invalidate`` are done at once, whatever becomes of the request.
        A session kept in a cookie cannot be reached by its id: None.
        """

    def has_key(key):
        """Tell whether there is such a key, as ``in`` does."""


class ISessionConfig(Interface):
    """The session options: a mutable mapping from option names to values.

    Names are those of Beaker, without the ``session.`` prefix.  The options
    are looked up when a request first uses its session.  A change takes
    effect from the next request on.  Register another utility, globally or
    in a local site, to override the one that was read from zope.conf.
    """


class ICacheManager(Interface):
    """A ``beaker.cache.CacheManager``, configured from zope.conf."""

    def get_cache(name, **options):
        """Return the ``beaker.cache.Cache`` of that name.

        Options given here (``type``, ``expire`` in seconds, …) go before
        those of zope.conf.
        """

    def get_cache_region(name, region):
        """Return the cache of that name with the options of a region.

        Raises ``beaker.exceptions.BeakerException`` for an unknown region.
        """
