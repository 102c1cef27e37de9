"""What results in Plone are made from, besides content.

Give these to ``cached``: the functions ``of_...`` as ``tags``, ``by_catalog``
in ``vary``.  For content there is ``of_context``.
"""

from typing import Any
from uuid import uuid4

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


def by_catalog(*args: Any, **kwargs: Any) -> tuple[int, str]:
    """Each state of the site's catalog has results of its own.

    The catalog counts its changes, and two states have one number only after
    an undo in the ZMI.  So nothing has to be dropped, and an edit costs
    nothing.  The results for former states stay in the region until they
    expire.

    A request that has changed something shares no results: another one may
    have counted as far, with another change.
    """
    # The catalog makes the changes that are in its queue now.
    number = getUtility(ICatalogTool).getCounter()
    is_shared = snapshot_in_use().is_clean
    return (number, "" if is_shared else uuid4().hex)
