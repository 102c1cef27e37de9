"""The code that the page shows beside its cards: a few lines for each.

It has no type hints, so that it fits beside them.
"""

import random
import time

from zope.component import getUtility

from collective.beaker.caching import by_context
from collective.beaker.caching import cached
from collective.beaker.caching import drop
from collective.beaker.caching import of_context
from collective.beaker.caching.counters import counters_of
from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import sessions_of_user


def count_visit(request):
    session = ISession(request)
    session["visits"] = session.get("visits", 0) + 1
    session.save()


def keep_note(request, note):
    session = ISession(request)
    session["note"] = note
    session.save()


@cached("short")
def draw_number():
    number = random.randint(1, 999)
    return {"value": number, "drawn": time.time()}


def refresh_number():
    draw_number.invalidate()


@cached("short", vary=by_context, tags=of_context)
def teaser(context):
    time.sleep(0.3)  # This takes long.
    return {"text": context.title, "made": time.time()}


def edit(context, title):
    context.title = title
    drop(of_context(context))


def figures():
    short = counters_of("short")
    return short.hits, short.misses, short.saved_seconds


def count_other_devices(user, id):
    options = getUtility(ISessionConfig)
    sessions = sessions_of_user(options, user)
    return sum(other.id != id for other in sessions)


def log_out_other_devices(user, id):
    options = getUtility(ISessionConfig)
    ended = end_sessions_of_user(options, user, keep={id})
    return max(ended)


def start_again(request):
    session = ISession(request)
    session.invalidate()
    session.save()


def leave(request):
    ISession(request).delete()
