"""request.SESSION in the Zope of the tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress

from Products.Five.browser import BrowserView
from zope.component import getGlobalSiteManager
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.zopesession.interfaces import ISessionDataManager
from collective.beaker.zopesession.offering import offer_zope_sessions
from collective.beaker.zopesession.offering import offerSessionDataOnStart


@contextmanager
def zope_sessions_on() -> Iterator[None]:
    """Do what ``session.zope_session on`` does, until the end of the block."""
    utilities = getGlobalSiteManager()
    offer_zope_sessions(utilities)
    try:
        yield
    finally:
        utilities.unregisterHandler(offerSessionDataOnStart)
        utilities.unregisterUtility(provided=ISessionDataManager)
        with suppress(ModuleNotFoundError):
            from Products.CMFCore.utils import _tool_interface_registry

            del _tool_interface_registry["session_data_manager"]


ZCML = """
  <include package="Products.Five.browser" file="meta.zcml" />
  <browser:page
      xmlns:browser="http://namespaces.zope.org/browser"
      name="zope-visits"
      for="*"
      class="collective.beaker.tests.helpers.zope_sessions.VisitsView"
      permission="zope.Public" />
"""


class VisitsView(BrowserView):
    """Counts visits, as code for Zope's own sessions does."""

    def __call__(self) -> str:
        data = self.request.SESSION
        data.set("visits", data.get("visits", 0) + 1)
        return str(data["visits"])


def put_item(request: HTTPRequest) -> None:
    request.SESSION["item"] = request.form.get("item", "tea")
