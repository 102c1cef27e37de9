"""Requests of one visitor that run side by side, in a certain order."""

import threading
from concurrent.futures import ThreadPoolExecutor

from collective.beaker.interfaces import ISession
from collective.beaker.tests.helpers.visitors import COOKIE
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import VIEW_NAME
from collective.beaker.tests.helpers.zope import Visitor
from collective.beaker.tests.helpers.zope import published


def overlap(visitor, *views):
    """Make requests of one visitor that run side by side.

    All of them have loaded the session before the first view is called.
    Each view is called when the request before has been answered.
    """
    header = {"Cookie": f"{COOKIE}={visitor.cookies[COOKIE]}"}
    all_loaded = threading.Barrier(len(views))
    answered = [threading.Event() for _ in views]

    def page(request):
        number = int(request.form["number"])
        ISession(request).get("count")
        all_loaded.wait(SECONDS)
        if number:
            assert answered[number - 1].wait(SECONDS)
        return views[number](request)

    def make_request(number):
        browser = Visitor(visitor.browser.app).browser
        try:
            return browser.get(
                f"/@@{VIEW_NAME}?number={number}", headers=header
            )
        finally:
            answered[number].set()

    with published(page), ThreadPoolExecutor(len(views)) as threads:
        return list(threads.map(make_request, range(len(views))))
