"""What the result of a cached function may depend on besides its arguments.

Each of these functions is called with the arguments of the cached function,
and returns what matters about them or about the request: a text, or a tuple
of plain values.  Results for which it returns the same are shared.
"""

from collections.abc import Sequence
from contextlib import suppress
from threading import local
from typing import Any
from weakref import ref

from AccessControl import getSecurityManager
from AccessControl.users import UnrestrictedUser
from Acquisition import aq_base
from Acquisition import aq_inner
from Acquisition import aq_parent
from OFS.interfaces import IApplication
from transaction.interfaces import ITransaction
from ZODB.Connection import Connection
from zope.component.hooks import getSite
from zope.globalrequest import getRequest
from zope.i18n import negotiate
from zope.i18n.interfaces import IUserPreferredLanguages
from zope.publisher.interfaces import IRequest

from collective.beaker.caching.keys import encode
from collective.beaker.caching.snapshots import connection_in_use
from collective.beaker.caching.snapshots import name_of_database


_UNRESTRICTED = "\0unrestricted"
"""What stands before the roles of a user who may do anything."""

_FOR_USER = "\0for"
"""What stands between the roles of code and those of its user."""


_GROUPS = "\0groups"
"""What stands before the groups of a user."""


def by_site(*args: Any, **kwargs: Any) -> tuple[str, str]:
    """Each site has results of its own, as has the Zope root.

    A site is what ``getSite()`` returns: told by its path, and by the name of
    its database in ``zope.conf``.  Another Zope with another database of this
    name is not another site: have it use another store.
    """
    site = getSite()
    if site is None:
        return ("", "")
    return (name_of_database(connection_in_use()), _path_of(site))


class _LastSite:
    """What a key says of the site that a thread has been in last.

    To find the path of a site is a good part of what a hit in memory takes.
    Another transaction may have moved the site, so nothing is remembered for
    longer than a transaction, whose manager calls the methods below, and none
    of them in a transaction that needs no site.
    """

    def __init__(self) -> None:
        self._manager: Any = None
        self.site: Any = None
        """A weak reference to the site, without what it is wrapped in: the
        request that it was found by is not kept alive."""

        self.key = b""

    def remember(self, site: Any, key: bytes) -> None:
        """Remember a site that is stored in the ZODB."""
        connection = getattr(site, "_p_jar", None)
        if connection is None:
            return
        self._manager = connection.transaction_manager
        self._manager.registerSynch(self)
        self.site, self.key = ref(aq_base(site)), key

    def newTransaction(self, transaction: ITransaction) -> None:
        self.site = None

    def beforeCompletion(self, transaction: ITransaction) -> None:
        """See afterCompletion."""

    def afterCompletion(self, transaction: ITransaction) -> None:
        self.site = None
        # Somebody may have done so already.
        with suppress(KeyError):
            self._manager.unregisterSynch(self)


class _OfThread(local):
    def __init__(self) -> None:
        self.last = _LastSite()


_of_thread = _OfThread()


def key_of_site(site: Any) -> bytes:
    """Return what a key says of the current site: ``by_site()``, as bytes."""
    last = _of_thread.last
    if last.site is not None and last.site() is aq_base(site):
        return last.key
    key = encode(by_site())
    last.remember(site, key)
    return key


def by_context(*args: Any, **kwargs: Any) -> tuple[str, str]:
    """Each object has results of its own, at each address of the site.

    The object is the argument ``context``, or the first argument that has a
    path, or whose own ``context`` has one: a view, a viewlet, an adapter.
    It is told by its path.  Its address counts too, so that links to one host
    are not shown to the visitors of another.
    """
    context = context_of(*args, **kwargs)
    return ("/".join(place_of(context)), context.absolute_url())


def by_url(*args: Any, **kwargs: Any) -> tuple[str, str]:
    """Each address has results of its own, as the browser sees it.

    The query, ``?page=2``, does not count.  The second part tells what the
    proxy has made of the address.  Outside of a request, both are "".
    """
    request = _request_of(*args, **kwargs)
    if request is None:
        return ("", "")
    return (
        str(request.get("ACTUAL_URL", "")),
        str(request.get("URL", "")),
    )


def by_user(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    """Each user has results of their own.

    A user is told by the path of their user folder, their id and their name,
    and has other results in other groups, as these may have roles somewhere,
    and with other roles, as ``by_roles`` tells those that hold everywhere.
    All visitors who have not logged in are one user.
    """
    manager = getSecurityManager()
    user = manager.getUser()
    folder = aq_parent(aq_inner(user))
    where = "" if folder is None else _path_of(folder)
    names = (where, user.getId() or "", user.getUserName() or "")
    return names + _groups_of(user) + _roles_of(manager, None)


def _groups_of(user: Any) -> tuple[str, ...]:
    """Return the groups of a user, which only some user folders have."""
    if not hasattr(aq_base(user), "getGroups"):
        return ()
    return (_GROUPS, *sorted(user.getGroups()))


def by_roles(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    """Users with the same roles share results.

    These are the roles in the context, as ``by_context`` finds it, or else
    those that hold everywhere.  Local roles in other objects do not count:
    for a list of objects that not everyone may see, take ``by_user``.

    Code may have other roles than the user: a script with proxy roles, or
    what runs in ``adopt_roles`` of plone.api.  Then these count, too.
    """
    context = _find_context(*args, **kwargs)
    return _roles_of(getSecurityManager(), context)


def _roles_of(manager: Any, context: Any) -> tuple[str, ...]:
    """Return the roles with which code runs for a user, and the user's."""
    own = _own_roles(manager.getUser(), context)
    roles = _proxy_roles(manager)
    if not roles:
        return own
    # The code may ask the user all the same.
    return (*sorted(set(roles)), _FOR_USER, *own)


def _own_roles(user: Any, context: Any) -> tuple[str, ...]:
    if isinstance(aq_base(user), UnrestrictedUser):
        # Such a user may do more than others with the same roles.
        return (_UNRESTRICTED, *sorted(set(user.getRoles())))
    if context is None:
        return tuple(sorted(set(user.getRoles())))
    return tuple(sorted(set(user.getRolesInContext(context))))


def _proxy_roles(manager: Any) -> Sequence[str]:
    """Return the roles that code has in place of the user's, if any."""
    # There is no public way to know them.  Products.CMFCore does the same.
    stack = manager._context.stack
    code = stack[-1] if stack else None
    return getattr(code, "_proxy_roles", None) or ()


def by_language(*args: Any, **kwargs: Any) -> tuple[str, ...]:
    """Each list of languages has results of its own.

    They are those that the visitor gets, in their order, as a text that is
    not translated to the first is shown in one of the others.  In Plone they
    are those that were negotiated for the request.  Elsewhere it is the one
    that zope.i18n negotiates, or else they are those that the browser
    prefers.  Outside of a request there are none.
    """
    request = _request_of(*args, **kwargs)
    if request is None:
        return ()
    languages = _languages_of(request)
    # Not request["LANGUAGE"], which a visitor can set by ?LANGUAGE=de.
    chosen = getattr(request, "other", {}).get("LANGUAGE")
    if chosen:
        languages = (str(chosen), *languages)
    return tuple(dict.fromkeys(languages))


def _languages_of(request: Any) -> Sequence[str]:
    """Return the languages of translations, as zope.i18n finds them."""
    negotiated: str | None = negotiate(request)
    if negotiated is not None:
        return (negotiated,)
    preferred = IUserPreferredLanguages(request, None)
    return () if preferred is None else preferred.getPreferredLanguages()


def of_context(*args: Any, **kwargs: Any) -> str:
    """Return the tag of an object, for ``tags=of_context``.

    It finds the object as ``by_context`` does, so ``drop(of_context(news))``
    drops what was made of ``news``.  The tag is made of the path and the
    database.
    """
    context = context_of(*args, **kwargs)
    return tag_of_path(context, place_of(context))


def tag_of_path(context: Any, path: Sequence[str]) -> str:
    """Return the tag of what is, or was, in the database of an object."""
    database = name_of_database(_connection_of(context))
    return f"{database}:{'/'.join(path)}"


def context_of(*args: Any, **kwargs: Any) -> Any:
    """Return the object that a call is about; raise TypeError without one."""
    context = _find_context(*args, **kwargs)
    if context is None:
        raise TypeError(
            "There is no context: no argument has a path, nor has the "
            "attribute 'context' of one. In vary= or tags=, give a function "
            "of the arguments that returns a text."
        )
    return context


def place_of(context: Any) -> Sequence[str]:
    """Return the path of an object from the root; raise TypeError without one.

    Objects in different containers may have the same id, and a new one has no
    id, as the root.
    """
    path: Sequence[str] = context.getPhysicalPath()
    if path[0] or (len(path) == 1 and not IApplication.providedBy(context)):
        kind = type(aq_base(context)).__name__
        raise TypeError(
            f"The {kind} {path[-1]!r} does not know where it is. It may "
            "not be in its container yet, or its container was left out, as "
            "in a property of a content class: make that a method."
        )
    return path


def _find_context(*args: Any, **kwargs: Any) -> Any:
    # Another object must not speak for the one that is named.
    named = kwargs.get("context")
    candidates = (*args, *kwargs.values()) if named is None else (named,)
    for candidate in candidates:
        # Not what it acquires: a folder may contain something "context".
        for found in (candidate, _attribute(candidate, "context")):
            if hasattr(aq_base(found), "getPhysicalPath"):
                return found
    return None


def _connection_of(context: Any) -> Connection | None:
    """Return the connection of an object; a new one has that of its parent."""
    connection = getattr(context, "_p_jar", None)
    while connection is None and context is not None:
        context = aq_parent(aq_inner(context))
        connection = getattr(context, "_p_jar", None)
    return connection


def _attribute(candidate: Any, name: str) -> Any:
    """Return an attribute that is not acquired, or None.

    A request has none: a visitor could set it, with ``?context=``.
    """
    if IRequest.providedBy(candidate) or not hasattr(aq_base(candidate), name):
        return None
    return getattr(candidate, name)


def _request_of(*args: Any, **kwargs: Any) -> Any:
    """Return the request of a view or an argument, or that of the thread."""
    named = kwargs.get("request")
    if named is not None:
        return named
    found = _attribute(args[0], "request") if args else None
    # Content may have a field of this name.
    return found if IRequest.providedBy(found) else getRequest()


FIND_BY_NAME = frozenset(
    {by_context, by_url, by_roles, by_language, of_context}
)
"""The functions that look for an argument ``context`` or ``request``."""


def _path_of(thing: Any) -> str:
    """Return the path of an object; "" if it is in no tree."""
    if not hasattr(aq_base(thing), "getPhysicalPath"):
        return ""
    return "/".join(thing.getPhysicalPath())
