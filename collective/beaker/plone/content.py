"""What edits drop: the results that were made from what they change.

All that is here only names the tags.  They are dropped once, when the
transaction commits.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from Acquisition import aq_base
from Acquisition import aq_chain
from Acquisition import aq_inner
from Acquisition import aq_parent
from OFS.interfaces import ITraversable
from Products.CMFCore.indexing import REINDEX
from Products.CMFCore.indexing import getQueue
from Products.CMFCore.interfaces import IContentish
from Products.CMFCore.interfaces import IIndexQueueProcessor
from Products.CMFCore.interfaces import ISiteRoot
from zope.component import adapter
from zope.interface import implementer
from zope.lifecycleevent.interfaces import IObjectMovedEvent

from collective.beaker.caching import drop
from collective.beaker.caching import of_context
from collective.beaker.caching.vary import place_of
from collective.beaker.caching.vary import tag_of_path
from collective.beaker.plone.caching import of_registry
from collective.beaker.plone.caching import of_users


def dropResultsOfObject(item: Any, event: Any) -> None:
    """Drop what was made of an object, or of the container that lists it."""
    drop(*_tags_of(item))


@adapter(ITraversable, IObjectMovedEvent)
def dropResultsOfMovedObject(item: Any, event: IObjectMovedEvent) -> None:
    """Drop what was made of an object in its former place and in the new one.

    Objects are also moved when they are added, renamed or removed.  What is
    in a container moves with it.
    """
    drop(*_tags_of(item), *_former_tags_of(item, event))


def dropResultsOfRegistry(event: Any) -> None:
    """Drop what was made of settings."""
    drop(of_registry())


def dropResultsOfUsers(event: Any) -> None:
    """Drop what was made of users or groups."""
    drop(of_users())


@implementer(IIndexQueueProcessor)
class DropResultsOfReindexed:
    """Drop what was made of objects that the catalog has to index anew.

    There are changes without an event: code sets local roles, or a title, and
    reindexes the object.  The workflow state of a folder may decide who can
    view what is in it, and that is reindexed, too.
    """

    def begin(self) -> None:
        """Drop all before the catalog asks for any result, to index it."""
        for operation, obj, *_ in getQueue().getState():
            if operation == REINDEX:
                drop(*_tags_of(obj))

    def reindex(
        self,
        obj: Any,
        attributes: Sequence[str] = (),
        update_metadata: int = 1,
    ) -> None:
        """See begin."""

    def index(self, obj: Any, attributes: Sequence[str] = ()) -> None:
        """An event has told of a new object."""

    def unindex(self, obj: Any) -> None:
        """An event has told, or will tell, of an object that is removed."""

    def commit(self) -> None:
        """What was dropped has joined the transaction."""

    def abort(self) -> None:
        """See commit."""


def _tags_of(item: Any) -> Iterator[str]:
    """Yield the tags of an object and of what lists it."""
    if _has_place(item):
        yield of_context(item)
        yield from _tags_of_container(aq_parent(aq_inner(item)))


def _tags_of_container(container: Any) -> Iterator[str]:
    """Yield the tags of a container and of its parents, up to content.

    A comment is in a conversation, which is in a page.
    """
    for each in aq_chain(aq_inner(container)):
        if not _has_place(each):
            continue
        yield of_context(each)
        if IContentish.providedBy(each) or ISiteRoot.providedBy(each):
            return


def _former_tags_of(item: Any, event: IObjectMovedEvent) -> Iterator[str]:
    """Yield the tags of an object, and of what listed it, where it was."""
    container = event.oldParent
    if not (_has_place(item) and _has_place(container)):
        return
    place = (*container.getPhysicalPath(), str(event.oldName))
    within = item.getPhysicalPath()[len(event.object.getPhysicalPath()) :]
    yield tag_of_path(container, place + within)
    yield from _tags_of_container(container)


def _has_place(item: Any) -> bool:
    """Tell whether an object has a path, without which nothing has its tag.

    The portlets of a user have none, as what they are in has none.  Nor does
    what only acquires that of its container.
    """
    if not hasattr(aq_base(item), "getPhysicalPath"):
        return False
    try:
        place_of(item)
    except (AttributeError, TypeError):
        return False
    return True
