"""The sessions of one user: list them, and end them."""

from collections.abc import Iterator
from collections.abc import Set

from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.moves import has_moved
from collective.beaker.session.working_copy import USER


def sessions_of_user(
    inspector: SessionInspector, user: str
) -> Iterator[InspectedRecord]:
    """Yield the stored sessions of a user, in no order.

    ``user`` is a name as ``owners.name_of`` returns it.  All sessions of the
    store are read for that.  Raises CannotMaintain if the store cannot list
    its records.
    """
    marks, met = inspector.marks_of_user(user), set[str]()
    for inspected in _with_those_that_move(inspector):
        id, _, data = inspected
        if (
            data
            and data.get(USER) in marks
            and id not in met
            and not inspector.has_expired(data)
        ):
            met.add(id)
            yield inspected


def _with_those_that_move(
    inspector: SessionInspector,
) -> Iterator[InspectedRecord]:
    """Yield all sessions, some of them twice.

    One that moves meanwhile may be where the search has been already.
    """
    for inspected in inspector.inspect_all():
        if has_moved(inspected.data):
            yield from inspector.follow(inspected)
        else:
            yield inspected


def end_sessions_of_user(
    options: Options, user: str, keep: Set[str] = frozenset()
) -> Iterator[int]:
    """End all sessions of a user; yield the number so far.

    Those with the ids to ``keep`` stay.  Raises CannotMaintain as
    ``sessions_of_user``.  If one cannot be ended, the others are, and then
    StoreUnavailable is raised.
    """
    inspector, number = SessionInspector(options), 0
    failure: StoreUnavailable | None = None
    yield number
    for found in slices(sessions_of_user(inspector, user)):
        try:
            number += inspector.end({each.id for each in found} - keep)
        except StoreUnavailable as error:
            failure = error
        yield number
    if failure is not None:
        raise failure
