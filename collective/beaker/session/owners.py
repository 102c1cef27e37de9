"""Whose a session is: nobody's, or that of one user.

A session that somebody planted in a browser must not become that of the user
who logs in there, nor that of one user the next one's (OWASP, session
fixation).
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from enum import auto
from typing import Any

from AccessControl import getSecurityManager
from Acquisition import aq_inner
from Acquisition import aq_parent
from ZPublisher.HTTPRequest import HTTPRequest


BIND = "bind"
ROTATE = "rotate"
OFF = "off"
LOGIN_POLICIES = (BIND, ROTATE, OFF)
"""The values of the option ``login_policy``.

* With ``bind`` a user's session is there for requests of this user only.
* With ``rotate`` it is there for anonymous requests, too.
* With ``off`` sessions know nothing of users.
"""


class Right(Enum):
    """What a request may do with a session."""

    USE = auto()
    REPLACE = auto()
    """It is another user's: end it, and begin a new one."""

    IGNORE = auto()
    """It is the session of a user who is not logged in: leave it alone."""


@dataclass(frozen=True, repr=False)
class Owners:
    """Tells users apart, by marks that do not show who they are."""

    login_policy: str
    secrets: Sequence[str]
    """The current secret and the former ones; none if there is none."""

    @property
    def matter(self) -> bool:
        """Whether sessions know their users."""
        return self.login_policy != OFF

    def mark(self, user: str) -> str:
        """Return what a session holds of its user."""
        return self.marks(user)[0]

    def marks(self, user: str) -> list[str]:
        """Return the current mark of a user, and those of former secrets.

        Without a secret, anyone who can read the store can try out names.
        """
        return [
            _digest(f"user of a session\0{secret}", user, 32)
            for secret in self.secrets or [""]
        ]

    def is_former_mark(self, mark: str, user: str) -> bool:
        """Tell whether this is a user's mark, but of a former secret."""
        current, *former = self.marks(user)
        return mark != current and mark in former

    def tokens(self, id: str) -> list[str]:
        """Return what names a session to its user, who is not told its id.

        Those of former secrets follow, as a page may have been shown before.
        """
        return [
            _digest(f"token of a session\0{secret}", id, 24)
            for secret in self.secrets or [""]
        ]

    def right_to(self, mark: str | None, user: str | None) -> Right:
        """Tell what a user may do with a session that holds this mark.

        Without ``user`` the request is anonymous.
        """
        if mark is None or not self.matter:
            return Right.USE
        if user is not None:
            is_own = mark in self.marks(user)
            return Right.USE if is_own else Right.REPLACE
        return Right.IGNORE if self.login_policy == BIND else Right.USE


def _digest(key: str, text: str, length: int) -> str:
    """Return so many digits that nobody finds without the key."""
    encoded = text.encode("utf-8", "surrogatepass")
    return hmac.digest(key.encode(), encoded, "sha256").hex()[:length]


def knows_user(request: HTTPRequest) -> bool:
    """Tell whether Zope has found who the user of a request is."""
    return "AUTHENTICATED_USER" in request.other


def user_of(request: HTTPRequest) -> str | None:
    """Return the name of the user whom Zope has found for a request.

    None stands for nobody, and for a user who is not known yet.
    """
    user = request.other.get("AUTHENTICATED_USER")
    return None if user is None else name_of(user)


def current_user() -> str | None:
    """Return the name of the user as whom code runs now; None for nobody.

    That is the user of the request, until code acts as somebody else.
    """
    return name_of(getSecurityManager().getUser())


def name_of(user: Any) -> str | None:
    """Return what tells a user from all others: user folder and id.

    None stands for anonymous visitors, and for the users that Zope has
    outside of any user folder.
    """
    id = user.getId()
    if id is None:
        return None
    folder = aq_parent(aq_inner(user))
    find_path = getattr(folder, "getPhysicalPath", None)
    path = "/".join(find_path()) if find_path is not None else ""
    return name_of_path(path, id)


def name_of_path(folder: str, id: str) -> str:
    """Return the same for the path of a user folder and a user's id."""
    return f"{folder}\0{id}"
