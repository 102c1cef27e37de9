"""The sessions of one user: list them, end one, and end all, or all others.

A user is named as ``owners.name_of`` names one.
"""

import logging
import time
from collections.abc import Container
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from itertools import chain

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.clients import stored_client
from collective.beaker.session.moves import has_moved
from collective.beaker.session.owners import name_of_path
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.times import CREATED
from collective.beaker.session.working_copy import CLIENT
from collective.beaker.session.working_copy import USER
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.failures import failing_late


logger = logging.getLogger("collective.beaker")

_USER_FOLDER = "/acl_users"
"""The name that every user folder has, in a path."""


@dataclass(frozen=True)
class UserSession:
    """A session of a user; times are seconds since 1970."""

    id: str = field(repr=False)
    token: str
    """What names it to its user, who is not told the id."""

    created: float
    last_used: float
    client: str
    """With what the user has begun it, such as "Firefox on Linux", or ""."""


def named_user(path: str) -> str:
    """Return the user whom the path of a user folder and an id name.

    Raises CannotMaintain for anything else.
    """
    # The id may have slashes, too, such as the address of an OpenID.
    site, found, id = path.partition(f"{_USER_FOLDER}/")
    if not (found and id and site[:1] in ("", "/")):
        raise CannotMaintain(
            f"{path!r} is not the path of a user. Write the path of the user "
            "folder, and the user's ID: /acl_users/admin, or "
            "/Plone/acl_users/erika."
        )
    return name_of_path(site + _USER_FOLDER, id)


def sessions_of_user(
    options: Options, user: str, search_all: bool = False
) -> Iterator[UserSession]:
    """Yield the stored sessions of a user, in no order.

    The index of the store names them, if there is one.  Otherwise, or with
    ``search_all``, all sessions in the store are read, and the index is
    completed.  Raises CannotMaintain if sessions know no users, or if there
    is no index and the store cannot list its records.
    """
    inspector = SessionInspector(options)
    for each in _find(inspector, user, search_all):
        if each.data is not None and not _has_expired(inspector, each):
            yield _described(inspector, each)


def list_sessions_of_user(
    options: Options, user: str, search_all: bool = False
) -> list[UserSession]:
    """Return the sessions of a user, the one last used first.

    Raises as ``sessions_of_user``.
    """
    found = sessions_of_user(options, user, search_all)
    return sorted(found, key=lambda each: each.last_used, reverse=True)


def count_sessions_of_user(options: Options, user: str) -> int:
    """Return how many sessions ``end_sessions_of_user`` ends, searching all.

    Raises as ``sessions_of_user``.
    """
    inspector = SessionInspector(options)
    found = _find(inspector, user, search_all=True)
    return sum(not _has_expired(inspector, each) for each in found)


def end_session_of_user(options: Options, user: str, token: str) -> bool:
    """End the session of a user that a token names.

    It may have moved since it got the token.  Returns whether there was one.
    Raises as ``sessions_of_user``.
    """
    inspector = SessionInspector(options)
    for each in _find(inspector, user):
        if token in inspector.tokens(each.id):
            return bool(inspector.end([each.id]))
    moved = _that_had_token(inspector, inspector.marks_of_user(user), token)
    return bool(inspector.end(each.id for each in moved))


def end_sessions_of_user(
    options: Options,
    user: str,
    keep: Set[str] = frozenset(),
    search_all: bool = False,
) -> Iterator[int]:
    """End all sessions of a user; yield the number so far.

    Those with the ids to ``keep`` stay.  What the index has is ended even if
    it cannot be read here, and so is what has expired, uncounted: a request
    may still be using it.  Raises as ``sessions_of_user``.  If one cannot be
    ended, the others are, and then StoreUnavailable is raised.
    """
    inspector, number = SessionInspector(options), 0
    yield number
    with failing_late(StoreUnavailable) as step:
        for found in slices(_find(inspector, user, search_all)):
            expired = {
                each.id for each in found if _has_expired(inspector, each)
            }
            with step():
                inspector.end(expired - keep)
            with step():
                others = {each.id for each in found} - expired
                number += inspector.end(others - keep)
            yield number


def _find(
    inspector: SessionInspector, user: str, search_all: bool = False
) -> Iterator[InspectedRecord]:
    """Yield the sessions of a user, as ``sessions_of_user`` finds them.

    Those without data are in the index, but cannot be read here.
    """
    marks = inspector.marks_of_user(user)
    if search_all:
        return _find_everywhere(inspector, marks)
    noted = _noted(inspector, marks)
    if noted is None:
        return _search(inspector, marks)
    return _find_noted(inspector, noted)


def _find_everywhere(
    inspector: SessionInspector, marks: Sequence[str]
) -> Iterator[InspectedRecord]:
    """Yield what a search finds, and then what only the index knows.

    A search cannot tell whose a session is that cannot be read here.  It may
    take longer than a tombstone leads on, so the index is asked after it.
    """
    met: set[str] = set()
    with failing_late(StoreUnavailable) as step:
        for find in (_search, _find_what_is_noted):
            with step():
                for inspected in find(inspector, marks):
                    if inspected.id not in met:
                        met.add(inspected.id)
                        yield inspected


def _find_what_is_noted(
    inspector: SessionInspector, marks: Sequence[str]
) -> Iterator[InspectedRecord]:
    noted = None
    with _index_failure_logged():
        noted = _noted(inspector, marks)
    yield from _find_noted(inspector, noted or {})


def _that_had_token(
    inspector: SessionInspector, marks: Sequence[str], token: str
) -> Iterator[InspectedRecord]:
    """Yield the session, where it is now, that a token named before."""
    noted = _noted(inspector, marks)
    ids = (
        [each.id for each in inspector.inspect_all()]
        if noted is None
        else chain.from_iterable(noted.values())
    )
    for id in ids:
        if token in inspector.tokens(id):
            for inspected in inspector.follow(id):
                if _mark_of(inspected) in marks:
                    yield inspected


def _noted(
    inspector: SessionInspector, marks: Sequence[str]
) -> dict[str, Sequence[str]] | None:
    """Return the ids that the index has for each mark; None without one."""
    noted = {}
    for mark in marks:
        ids = inspector.store.find_in_index(mark)
        if ids is None:
            return None
        noted[mark] = ids
    return noted


def _search(
    inspector: SessionInspector, marks: Sequence[str]
) -> Iterator[InspectedRecord]:
    """Yield the sessions with one of these marks; note them in the index."""
    met: set[str] = set()
    for inspected in _with_those_that_move(inspector):
        mark = _mark_of(inspected)
        if mark is not None and mark in marks and inspected.id not in met:
            met.add(inspected.id)
            with _index_failure_logged():
                inspector.store.add_to_index(mark, inspected.id)
            yield inspected


def _with_those_that_move(
    inspector: SessionInspector,
) -> Iterator[InspectedRecord]:
    """Yield all sessions, some of them twice.

    One that moves meanwhile may be where the search has been already.  One
    that is locked at this moment is not read with all others.  If such a
    session cannot be loaded, the others are found, and then StoreUnavailable
    is raised.
    """
    with failing_late(StoreUnavailable) as step:
        for inspected in inspector.inspect_all():
            is_locked = inspected.record == UNREADABLE
            if not (is_locked or has_moved(inspected.data)):
                yield inspected
                continue
            with step():
                yield from inspector.follow(inspected.id)


def _find_noted(
    inspector: SessionInspector, noted: Mapping[str, Sequence[str]]
) -> Iterator[InspectedRecord]:
    """Yield the sessions that the index has for each mark.

    A session may be noted for a former mark, and have the current one by now;
    one that has moved a moment ago may not be noted where it is.  What leads
    to no session of the user is removed, but nothing that cannot be read:
    another process may be able to.  Under an id that is noted, it is the
    user's, as a session gets a new id when it becomes somebody else's.

    If one cannot be loaded, the others are found, and then StoreUnavailable
    is raised.
    """
    met = set[str]()
    with failing_late(StoreUnavailable) as step:
        for mark, ids in noted.items():
            wrong: list[str] = []
            for id in ids:
                with step():
                    found = _follow_noted(inspector, id, noted, met)
                    belongs = yield from found
                    if not belongs:
                        wrong.append(id)
            with _index_failure_logged():
                inspector.store.remove_from_index(mark, wrong)


def _follow_noted(
    inspector: SessionInspector,
    id: str,
    marks: Container[str],
    met: set[str],
) -> Generator[InspectedRecord, None, bool]:
    """Yield what an id of the index leads to, if it is the user's.

    What was met is passed over.  Returns whether the id belongs in the index.
    """
    belongs = False
    for inspected in inspector.follow(id):
        is_theirs = _mark_of(inspected) in marks
        is_unread = inspected.data is None
        has_expired = _has_expired(inspector, inspected)
        belongs = belongs or is_unread or (is_theirs and not has_expired)
        is_noted = is_unread and inspected.id == id
        if (is_theirs or is_noted) and inspected.id not in met:
            met.add(inspected.id)
            yield inspected
    return belongs


@contextmanager
def _index_failure_logged() -> Iterator[None]:
    """Go on where the index cannot be used, as in a store without room.

    Sessions are found and ended all the same.
    """
    try:
        yield
    except StoreUnavailable as error:
        logger.error("%s", error)


def _mark_of(inspected: InspectedRecord) -> str | None:
    mark = (inspected.data or {}).get(USER)
    return mark if isinstance(mark, str) else None


def _has_expired(
    inspector: SessionInspector, inspected: InspectedRecord
) -> bool:
    data = inspected.data
    return data is not None and inspector.has_expired(data)


def _described(
    inspector: SessionInspector, inspected: InspectedRecord
) -> UserSession:
    data, now = inspected.data or {}, time.time()
    created = data.get(CREATED, now)
    return UserSession(
        id=inspected.id,
        token=inspector.tokens(inspected.id)[0],
        created=created,
        last_used=data.get(ACCESSED, created),
        client=stored_client(data.get(CLIENT)),
    )
