"""What results in Plone are made from, besides content.

Give these to ``cached``: the functions ``of_...`` as ``tags``, ``by_catalog``
in ``vary``.  For content there is ``of_context``.
"""

from typing import Any
from uuid import uuid4

from persistent import Persistent
from Products.CMFCore.indexing import processQueue
from Products.CMFCore.interfaces import ICatalogTool
from zope.component import getUtility

from collective.beaker.caching.snapshots import snapshot_in_use


def of_registry(*args: Any, **kwargs: Any) -> str:
    """Return the tag of all settings in the registry, in any site.

    It is dropped whenever a record is added, changed or removed.
    """
    return "plone.registry"


def of_users(*args: Any, **kwargs: Any) -> str:
    """Return the tag of all users and groups, in any site.

    It is dropped by the events of PluggableAuthService: when a user or a
    group is created or deleted, a user joins or leaves a group, or their
    properties change.  Neither a login nor a new password drops it.
    """
    return "Products.PluggableAuthService"


def by_catalog(*args: Any, **kwargs: Any) -> tuple[str, str]:
    """Each state of the site's catalog has results of its own.

    A state is told by the last transaction that has changed the catalog, or
    the number of changes that it counts.  So nothing has to be dropped, and an
    edit costs nothing.  The results for former states stay in the region until
    they expire.

    A request that has changed something shares no results: nobody else may
    see that yet.
    """
    # The catalog makes the changes that are in its queue now.
    processQueue()
    catalog = getUtility(ICatalogTool)
    # There is no public way to the two.  A catalog that is emptied does not
    # count that, and one that is made anew begins to count anew.
    last = max(map(_last_change, (catalog._catalog, catalog._counter)))
    is_shared = snapshot_in_use().is_clean
    return (last.hex(), "" if is_shared else uuid4().hex)


def _last_change(part: Persistent | None) -> bytes:
    """Return the id of the transaction that changed a part last."""
    if part is None:
        return b""
    # It is not known before the part is loaded.
    part._p_activate()
    serial: bytes = part._p_serial
    return serial
