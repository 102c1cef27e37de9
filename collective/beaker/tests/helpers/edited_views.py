"""The views of a site that is edited while it is read."""

from itertools import count
from pathlib import Path

from Products.Five.browser import BrowserView

from collective.beaker.caching import by_context
from collective.beaker.caching import cached
from collective.beaker.caching import drop
from collective.beaker.caching import of_context
from collective.beaker.tests.helpers.waiting import wait_until


_computed = count()


@cached("short", vary=by_context, tags=of_context)
def cached_title(context: object) -> tuple[str, int]:
    """Return the title, and what this process had computed before."""
    return context.title, next(_computed)


class Edit(BrowserView):
    """Change the title, and drop what was made of it."""

    def __call__(self) -> str:
        title = self.request.form["title"]
        self.context.title = title
        drop(of_context(self.context))
        return title


class Read(BrowserView):
    """The title as it is in this transaction, and as the cache has it."""

    def __call__(self) -> str:
        title, computed = cached_title(self.context)
        return f"{self.context.title} {title} {computed}"


class ReadLate(Read):
    """The same, by a request that began before others went on."""

    def __call__(self) -> str:
        assert self.context.title is not None
        folder = Path(self.request.form["folder"])
        (folder / "begun").touch()
        wait_until((folder / "others-done").exists)
        return super().__call__()


ZCML = '<configure xmlns:browser="http://namespaces.zope.org/browser">{}</configure>'.format(
    "".join(
        f'<browser:page name="{name}" for="*" permission="zope2.View" '
        f'class="{__name__}.{view.__name__}" />'
        for name, view in {
            "edit": Edit,
            "read": Read,
            "read-late": ReadLate,
        }.items()
    )
)
