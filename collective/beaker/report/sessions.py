"""Whether the session store can be reached, and how many sessions it has."""

import logging
from collections import defaultdict
from collections.abc import Hashable
from collections.abc import Iterable

from collective.beaker.ids import new_id
from collective.beaker.maintenance.slices import last_result_within
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.survey import survey
from collective.beaker.report.parts import Count
from collective.beaker.report.parts import StoreCheck
from collective.beaker.report.stores import describe_error
from collective.beaker.settings.backends import are_stored


logger = logging.getLogger("collective.beaker")

_logged_reasons: defaultdict[Hashable, set[str]] = defaultdict(set)
"""Why session stores are unavailable, as already logged, by their places.

None stands for a store that could not be made.
"""


def is_available(session: Options | None) -> bool:
    """Tell whether the session store answers a request for one record.

    This is true if sessions are in cookies, or not configured.  A reason is
    logged once, until the store answers again: load balancers ask often.  The
    stores of several sites fail and answer by themselves.
    """
    if session is None or not are_stored(session):
        return True
    place: Hashable = None
    try:
        store = SessionInspector(session).store
        place = store.place
        store.load(store.reachable_id(new_id()))
    except Exception as error:
        reason = describe_error(error)
        if reason not in _logged_reasons[place]:
            _logged_reasons[place].add(reason)
            logger.error("The session store is unavailable: %s", reason)
        return False
    if _logged_reasons.pop(place, None):
        logger.info(
            "The session store %s (%s) is available again.",
            store.kind,
            store.address,
        )
    return True


def count_sessions(options: Options, seconds: float) -> Count:
    """Count the stored sessions, for at most so many seconds.

    Any failure is part of the result; nothing is raised.
    """
    count = Count()
    try:
        count.survey, count.is_complete = last_result_within(
            seconds, survey(options)
        )
        if not count.is_complete:
            count.estimate = SessionInspector(options).estimate()
    except Exception as error:
        count.error = describe_error(error)
    return count


def count_unless_failed(
    session: Options, stores: Iterable[StoreCheck], seconds: float
) -> Count:
    """Count sessions, but do not wait again for a store that failed."""
    for check in stores:
        if check.name == "session" and not check.works:
            return Count(error=check.error)
    return count_sessions(session, seconds)
