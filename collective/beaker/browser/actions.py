"""What the buttons of the page do."""

import logging
from collections.abc import Callable
from functools import wraps

from OFS.SimpleItem import Item
from zExceptions import MethodNotAllowed
from zope.component import getMultiAdapter
from zope.component import queryUtility
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker import wording
from collective.beaker.browser import messages
from collective.beaker.browser.base import View
from collective.beaker.browser.page import Page
from collective.beaker.browser.tokens import has_valid_token
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import find_id
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.slices import last_result_within
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import list_sessions_of_user
from collective.beaker.maintenance.users import named_user
from collective.beaker.report.stores import describe_error
from collective.beaker.settings.backends import backend_of


SWEEP_SECONDS = 10
"""How long a button sweeps."""

_MOST_LISTED = 10
"""How many sessions of a user are listed: the message is in a cookie."""

_STALE = (
    "Nothing was done: the form is too old, or comes from another site. Press "
    "the button again. If this still happens, set session.secret, so that all "
    "processes of Zope accept the form."
)
"""What the page shows if a form has no valid token."""

logger = logging.getLogger("collective.beaker")


class WrongInput(Exception):
    """What was typed into a field of a form is not right."""

    def __init__(self, field: str, reason: str):
        super().__init__(reason)
        self.field = field


def on_post(
    change: Callable[["Actions"], str],
) -> Callable[["Actions"], str]:
    """Run a method only on POST, and only with the token of a form.

    The response redirects to the page, so that reloading it repeats nothing.
    The page shows the text that the method returns, or why the method failed.
    Without a valid token, the response is the page, with the status 403.
    """

    @wraps(change)
    def publish(self: "Actions") -> str:
        self.never_cache()
        if self.request.method != "POST":
            raise MethodNotAllowed("Use the button on the page @@beaker.")
        if not has_valid_token(self.context, self.request):
            return self._refuse()
        try:
            messages.set_message(self.request, "done", change(self))
        except WrongInput as error:
            messages.set_message(
                self.request, "failed", str(error), error.field
            )
        except CannotMaintain as error:
            messages.set_message(self.request, "failed", str(error))
        except Exception as error:
            reason = describe_error(error)
            logger.error("A button of @@beaker failed: %s", reason)
            messages.set_message(self.request, "failed", reason)
        url = f"{self.context.absolute_url()}/@@beaker"
        self.request.response.redirect(url, status=303)
        return ""

    return publish


class Actions(View):
    """What the buttons of the page do."""

    def __init__(self, context: Item, request: HTTPRequest):
        super().__init__(context, request)
        # Zope's error log keeps the form of a request that fails, and an id
        # or a cookie is a secret.  A view is made before anything is checked.
        self._id = request.form.pop("id", "")

    @on_post
    def sweep(self) -> str:
        """Remove what has expired, for ``SWEEP_SECONDS``."""
        swept, is_complete = last_result_within(
            SWEEP_SECONDS, sweep(self._session_options())
        )
        text = f"{wording.removed(swept)} {wording.kept(swept)}"
        if is_complete:
            return text
        return (
            f"{text} Time ran out after {swept.looked_at:,} records. "
            "Run collective-beaker sweep to process all of them."
        )

    @on_post
    def clear(self) -> str:
        """Empty a cache region."""
        region = self._field("region")
        configuration = self.read_configuration()
        text = wording.emptied(region, clear_region(configuration, region))
        if backend_of(configuration.regions[region]).per_process:
            return f"{text} Other processes of Zope keep their values."
        return text

    @on_post
    def revoke(self) -> str:
        """End the session of an id or of a cookie."""
        try:
            id = find_id(self._id if isinstance(self._id, str) else "")
        except CannotMaintain as error:
            raise WrongInput("id", str(error)) from None
        if not revoke(self._session_options(), id):
            raise WrongInput("id", wording.NOT_FOUND_HERE)
        return "Ended the session."

    @on_post
    def user(self) -> str:
        """List the sessions of a user, or end them."""
        options = self._session_options()
        try:
            user = named_user(self._field("user").strip())
        except CannotMaintain as error:
            raise WrongInput("user", str(error)) from None
        if "end" not in self.request.form:
            found = list_sessions_of_user(options, user)
            return wording.user_sessions(found, _MOST_LISTED)
        *_, number = end_sessions_of_user(options, user)
        return wording.ended_of_user(number)

    def _refuse(self) -> str:
        """Return the page, with the message that a form is not valid."""
        self.request.response.setStatus(403)
        page: Page = getMultiAdapter(
            (self.context, self.request), name="beaker"
        )
        return page.show(messages.Message("failed", _STALE))

    def _session_options(self) -> Options:
        options: Options | None = queryUtility(ISessionConfig)
        if options is None:
            raise CannotMaintain(
                "No sessions are configured. Add a setting that begins with "
                "session. to <product-config beaker>."
            )
        return options

    def _field(self, name: str) -> str:
        value = self.request.form.get(name)
        return value if isinstance(value, str) else ""
