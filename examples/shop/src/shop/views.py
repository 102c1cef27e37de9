from time import strftime

from Products.Five.browser import BrowserView

from collective.beaker.caching import cached
from collective.beaker.interfaces import ISession


@cached("short")
def clock():
    return strftime("%H:%M:%S")


class Visits(BrowserView):
    def __call__(self):
        session = ISession(self.request)
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        return f"Visit {session['visits']}. The clock shows {clock()}."
