"""The service @my-sessions of plone.restapi."""

from typing import Any

from plone.restapi.services import Service
from zExceptions import BadRequest
from zExceptions import NotFound
from zope.interface import implementer
from zope.publisher.interfaces import IPublishTraverse
from ZPublisher.HTTPRequest import HTTPRequest

from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.plone.my_sessions import MySessions
from collective.beaker.plone.my_sessions import iso_time


class _MySessionsService(Service):
    """A service for the sessions of the user who is logged in."""

    def reply(self) -> Any:
        self.request.response.setHeader("Cache-Control", "no-store")
        try:
            return self.answer(MySessions(self.request))
        except CannotMaintain:
            # The message names a setting, which no user can change.
            self.request.response.setStatus(501)
            return {"type": "Not Implemented", "message": _CANNOT_BE_LISTED}

    def answer(self, mine: MySessions) -> Any:
        raise NotImplementedError


_CANNOT_BE_LISTED = "This site keeps sessions where they cannot be listed."


class ListMySessions(_MySessionsService):
    """GET @my-sessions"""

    def answer(self, mine: MySessions) -> Any:
        url = f"{self.context.absolute_url()}/@my-sessions"
        return {
            "@id": url,
            "items": [
                {
                    "@id": f"{url}/{session.token}",
                    "token": session.token,
                    "client": session.client,
                    "created": iso_time(session.created),
                    "last_used": iso_time(session.last_used),
                    "current": mine.is_current(session),
                }
                for session in mine.list()
            ],
        }


@implementer(IPublishTraverse)
class EndMySessions(_MySessionsService):
    """DELETE @my-sessions, for all others, and @my-sessions/TOKEN"""

    _token: str | None = None

    def publishTraverse(
        self, request: HTTPRequest, name: str
    ) -> "EndMySessions":
        if self._token is not None:
            raise BadRequest("One token names a session.")
        self._token = name
        return self

    def answer(self, mine: MySessions) -> Any:
        if self._token is None:
            mine.end_others()
        elif not mine.end(self._token):
            raise NotFound("You have no such session.")
        return self.reply_no_content()
