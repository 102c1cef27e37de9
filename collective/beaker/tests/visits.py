"""The view of an add-on that uses sessions."""

from AccessControl import getSecurityManager
from Products.Five.browser import BrowserView

from collective.beaker.interfaces import ISession


class VisitsView(BrowserView):
    """Counts the visits in a session, and names the user."""

    def __call__(self) -> str:
        session = ISession(self.request)
        session["visits"] = session.get("visits", 0) + 1
        session.save()
        return f"{getSecurityManager().getUser()}: {session['visits']}"


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
</configure>
"""
