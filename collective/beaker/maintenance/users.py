"""The sessions of one user: list them, and end them."""

from collections.abc import Iterator

from collective.beaker.maintenance.slices import slices
from collective.beaker.maintenance.stored import InspectedRecord
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.working_copy import USER


def sessions_of_user(
    inspector: SessionInspector, user: str
) -> Iterator[InspectedRecord]:
    """Yield the stored sessions of a user, in no order.

    ``user`` is a name as ``owners.name_of`` returns it.  All sessions of the
    store are read for that.  Raises CannotMaintain if the store cannot list
    its records.
    """
    marks = inspector.marks_of_user(user)
    for inspected in inspector.inspect_all():
        data = inspected.data
        if (
            data
            and data.get(USER) in marks
            and not inspector.has_expired(data)
        ):
            yield inspected


def end_sessions_of_user(
    options: Options, user: str, keep: str | None = None
) -> Iterator[int]:
    """End all sessions of a user; yield the number so far.

    The session with the id ``keep`` stays.  Raises CannotMaintain as
    ``sessions_of_user``.
    """
    inspector, number = SessionInspector(options), 0
    yield number
    for found in slices(sessions_of_user(inspector, user)):
        for each in found:
            if each.id != keep and inspector.end(each.id):
                number += 1
        yield number
