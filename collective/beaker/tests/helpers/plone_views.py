"""The views of a Plone site that is edited while it is read."""

from itertools import count

from AccessControl.SecurityManagement import newSecurityManager
from AccessControl.SecurityManagement import noSecurityManager
from AccessControl.users import system
from Acquisition import aq_parent
from plone.caching.interfaces import ICacheSettings
from plone.registry.interfaces import IRegistry
from Products.CMFPlone.factory import addPloneSite
from Products.Five.browser import BrowserView
from zope.component import getUtility
from zope.component.hooks import setSite

from collective.beaker.caching import by_context
from collective.beaker.caching import by_language
from collective.beaker.caching import by_roles
from collective.beaker.caching import cached
from collective.beaker.caching import of_context


SITE = "Plone"
USER = "editor"
PASSWORD = "a secret of the tests"

_computed = count()


@cached("long", vary=(by_context, by_language, by_roles), tags=of_context)
def cached_title(context: object) -> tuple[str, int]:
    """Return the title, and what this process had computed before."""
    return context.title, next(_computed)


@cached("long", vary=(by_context, by_language, by_roles), tags=of_context)
def cached_list(context: object) -> str:
    """Return the titles of what is in a container."""
    return ",".join(each.title for each in context.objectValues())


class Read(BrowserView):
    """The title as it is in this transaction, and as caches have it."""

    def __call__(self) -> str:
        title, computed = cached_title(self.context)
        listed = cached_list(aq_parent(self.context))
        return f"{self.context.title} {title} {listed} {computed}"


class Teaser(BrowserView):
    """What caches have of an object, and when it was computed."""

    def __call__(self) -> str:
        title, computed = cached_title(self.context)
        return f"{title}, {computed}"


class MakeSite(BrowserView):
    """Make a site with a folder and a page in it, and a user."""

    def __call__(self) -> str:
        self.context.acl_users._doAddUser(USER, PASSWORD, ["Manager"], [])
        newSecurityManager(None, system)
        try:
            site = addPloneSite(
                self.context,
                SITE,
                extension_ids=[
                    "plone.app.contenttypes:default",
                    "plone.app.caching:default",
                    "plone.app.caching:without-caching-proxy",
                ],
            )
            settings = getUtility(IRegistry).forInterface(ICacheSettings)
            settings.enabled = True
            site.invokeFactory("Folder", "folder")
            site.folder.invokeFactory("Document", "page", title="0")
            for published in (site.folder, site.folder.page):
                site.portal_workflow.doActionFor(published, "publish")
        finally:
            noSecurityManager()
            setSite(None)
        return "made"


VIEWS = {"make-site": MakeSite, "read": Read, "teaser": Teaser}
ZCML = '<include package="Products.Five.browser" file="meta.zcml" />'
ZCML += "".join(
    '<browser:page xmlns:browser="http://namespaces.zope.org/browser" '
    f'name="{name}" for="*" permission="zope.Public" '
    f'class="{__name__}.{view.__name__}" />'
    for name, view in VIEWS.items()
)
