"""The logins of a user on other devices, as far as Plone can end them.

A login is not a session: Plone's own cookie, a ticket, holds it.  A ticket is
valid until it expires, unless the plugin ``session`` of the user folder has a
keyring for each user.
"""

from collections.abc import Iterator
from typing import Any

from AccessControl import getSecurityManager
from Acquisition import aq_inner
from Acquisition import aq_parent
from plone.keyring.interfaces import IKeyManager
from plone.protect.interfaces import IDisableCSRFProtection
from plone.session.interfaces import ISessionPlugin
from Products.PluggableAuthService.interfaces.plugins import (
    ICredentialsUpdatePlugin,
)
from zope.component import queryUtility
from zope.interface import alsoProvides
from ZPublisher.HTTPRequest import HTTPRequest


def logins_end_here() -> bool:
    """Tell whether the site can end logins on other devices."""
    return any(_plugins())


def end_other_logins(request: HTTPRequest) -> None:
    """End all logins of the user but that of the request, where possible.

    Call this only for a request that nobody has forged: it stores keys.
    """
    user, manager = getSecurityManager().getUser(), queryUtility(IKeyManager)
    for plugin in _plugins():
        ring = f"{plugin.secret_prefix}{user.getId()}"
        if manager is None or ring not in manager:
            continue
        alsoProvides(request, IDisableCSRFProtection)
        manager.clear(ring=ring)
        manager.rotate(ring=ring)
        if plugin.cookie_name in request.cookies:
            plugin.updateCredentials(
                request, request.response, user.getUserName(), ""
            )


def _plugins() -> Iterator[Any]:
    """Yield the plugins that have a keyring for each user."""
    folder = aq_parent(aq_inner(getSecurityManager().getUser()))
    plugins = getattr(folder, "plugins", None)
    if plugins is None:
        return
    for _, plugin in plugins.listPlugins(ICredentialsUpdatePlugin):
        if ISessionPlugin.providedBy(plugin) and getattr(
            plugin, "per_user_keyring", False
        ):
            yield plugin
