"""The control panel of Plone's RAM cache, whose button empties all of it."""

from pathlib import Path

from plone.app.caching.browser import controlpanel
from Products.Five.browser.pagetemplatefile import ViewPageTemplateFile

from collective.beaker.caching import drop
from collective.beaker.plone.memoize import TAG


class RAMCache(controlpanel.RAMCache):
    """Plone's page, which also empties what all Zopes share."""

    index = ViewPageTemplateFile(
        "ramcache.pt", str(Path(controlpanel.__file__).parent)
    )

    def processPurge(self) -> None:
        super().processPurge()
        drop(TAG)
