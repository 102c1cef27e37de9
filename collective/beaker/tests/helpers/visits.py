"""The view of an add-on that uses sessions."""

from AccessControl import getSecurityManager
from Products.Five.browser import BrowserView
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.interfaces import ISession


class VisitsView(BrowserView):
    """Counts the visits in a session, and names the user."""

    def __call__(self) -> str:
        visits = count_visit(self.request)
        return f"{getSecurityManager().getUser()}: {visits}"


class VisitsOfView(BrowserView):
    """Shows the number of visits, and does not count."""

    def __call__(self) -> str:
        visits = ISession(self.request).get("visits")
        return f"{getSecurityManager().getUser()}: {visits}"


def count_visit(request: HTTPRequest) -> str:
    """Count the visits in a session; return how many there are."""
    session = ISession(request)
    session["visits"] = session.get("visits", 0) + 1
    session.save()
    return str(session["visits"])


ZCML = f"""\
<configure
    xmlns="http://namespaces.zope.org/zope"
    xmlns:browser="http://namespaces.zope.org/browser">
  <browser:page
      name="visits"
      for="*"
      class="{__name__}.VisitsView"
      permission="zope2.View"
      />
  <browser:page
      name="visits_of"
      for="*"
      class="{__name__}.VisitsOfView"
      permission="zope2.View"
      />
</configure>
"""
