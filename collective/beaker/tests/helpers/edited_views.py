"""The views of a site that is edited while it is read."""

from itertools import count

from Products.Five.browser import BrowserView

from collective.beaker.caching import by_context
from collective.beaker.caching import cached
from collective.beaker.caching import drop
from collective.beaker.caching import of_context


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


ZCML = '<configure xmlns:browser="http://namespaces.zope.org/browser">{}</configure>'.format(
    "".join(
        f'<browser:page name="{name}" for="*" permission="zope2.View" '
        f'class="{__name__}.{view.__name__}" />'
        for name, view in {"edit": Edit, "read": Read}.items()
    )
)
