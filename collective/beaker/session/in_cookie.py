"""A session that the visitor's browser keeps in a cookie."""

import logging
from collections.abc import Sequence

from collective.beaker.ids import new_id
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.session.cookies import MAX_COOKIE_SIZE
from collective.beaker.session.cookies import SIGNATURE_LENGTH
from collective.beaker.session.cookies import check_scope
from collective.beaker.session.cookies import cookie_size
from collective.beaker.session.cookies import is_small
from collective.beaker.session.opened import SessionOfCopy
from collective.beaker.session.policy import warn_of_unreadable_session
from collective.beaker.session.times import ACCESSED
from collective.beaker.session.working_copy import DOMAIN
from collective.beaker.session.working_copy import ID
from collective.beaker.session.working_copy import PATH
from collective.beaker.session.working_copy import USER
from collective.beaker.session.working_copy import Data
from collective.beaker.session.working_copy import is_empty


logger = logging.getLogger("collective.beaker")

_ROOM_FOR_LOGIN = 200
"""How many bytes of a cookie a login may add.

The user's mark takes up to 70.  The rest of an encrypted or compressed text
changes as well, and by chance more of its characters are sent as three.
"""


class CookieSession(SessionOfCopy):
    """A session whose data are in a cookie, in Beaker's own format.

    It sends its cookie only if it has to.  Unlike Beaker's, it knows when it
    was used last, can change its id, and remembers that it was invalidated.
    """

    stored_id = None
    _has_former_key = False
    _sent_id: str | None = None
    """The id in the visitor's cookie."""

    _voted: tuple[Data, str] | None = None
    """What ``prepare`` has found to fit, and its text."""

    # Opening

    def open_presented(self, values: Sequence[str]) -> None:
        """Open the first session in a cookie, or begin a new one.

        ``values`` are those of the visitor's cookies.
        """
        self._presented = values
        for value in values:
            if self._load(value):
                self.bad_signature = False
                return
        self._begin()

    def _load(self, value: str) -> bool:
        verified = self._policy.cookies.verify(value)
        if verified is None:
            self.bad_signature = True
            return False
        text, position = verified
        # What ends a session holds nothing.
        data = self._decode(text) if text else None
        if data is None:
            return False
        self._sent_id = data.get(ID)
        if self._sent_id is None:
            data[ID] = new_id()
        self._has_former_key = position > 0
        self._sent_scope = self._scope_in(data)
        self.last_accessed = data.get(ACCESSED)
        self.owner = data.get(USER)
        self.is_new = False
        self._copy.hold(data, text)
        return True

    def _decode(self, text: str) -> Data | None:
        """Return the data of a session that has not ended."""
        try:
            data = self._policy.codec.decode(text)
            check_scope(data.get(DOMAIN), data.get(PATH, "/"))
            ended = is_empty(data) or self._policy.timeouts.have_ended(data)
        except Exception as error:
            if not self._policy.replaces(error):
                raise
            warn_of_unreadable_session(error)
            return None
        return None if ended else data

    def _begin(self) -> None:
        self._copy.begin({**self._scope, ID: new_id()})
        self.last_accessed = self.owner = None
        self.is_new = True
        self.is_deleted = False

    # What code sees

    @property
    def id(self) -> str:
        id: str = self._copy.get_own(ID)
        return id

    def belong_to(self, mark: str, client: str) -> None:
        # Nobody can list it, so the client would only take space.
        super().belong_to(mark, "")

    def invalidate(self) -> None:
        """Begin a new session under a new id."""
        self.was_invalidated = True
        if self._copy.text is not None:
            self.replaces_another = True
        self._begin()

    def make_way(self) -> None:
        self.invalidate()

    def regenerate_id(self) -> None:
        """Go on under a new id."""
        if self.is_deleted:
            self.invalidate()
        id = new_id()
        self._copy.set_own(ID, id)
        self._copy.loaded[ID] = id

    # Storing

    def save(self, everything: bool = True) -> None:
        """Make the cookie, with all changes or only those inside values.

        Raises RecordTooLarge, and TypeError for a value that cannot be
        serialized.
        """
        if self.is_deleted:
            if self._presented or self.cookie is not None:
                self._leave_all_scopes()
                self.cookie = self._policy.cookies.expire(
                    "", self.domain, self.path
                )
        elif everything or self._must_be_sent():
            self._send(*(self._voted or self._encoded(everything)))
        elif self._is_due():
            self._renew()

    def _encoded(self, everything: bool) -> tuple[Data, str]:
        """Return what is to be sent, and its text."""
        self._copy.renew_access()
        mine = self._copy.to_store(everything)
        return mine, self._encode(mine)

    def _send(self, mine: Data, text: str) -> None:
        self._change_scope(self._scope_in(mine))
        self.cookie = self._policy.cookies.make(text, *self._sent_scope)
        self._copy.mark_stored(mine, text)
        self._sent_id = self.id
        self.replaces_another = False

    def _renew(self) -> None:
        """Send the same once more, with the time and the key of today.

        It may be some bytes longer than before, even too long.  A request
        that only reads can do without.
        """
        try:
            self._send(*self._encoded(False))
        except RecordTooLarge as error:
            logger.error("%s", error)

    def _leave_all_scopes(self) -> None:
        """Have the browser drop all cookies that it has presented."""
        policy = self._policy
        self._left_scopes += ((policy.domain, policy.path),)
        if len(self._presented) > 1:
            for value in self._presented:
                verified = policy.cookies.verify(value)
                data = verified and self._decode(verified[0])
                if data:
                    self._left_scopes += (self._scope_in(data),)
        self._change_scope((self.domain, self.path))

    @property
    def needs_cookie(self) -> bool:
        return True

    def stores_changes(self, everything: bool) -> bool:
        if self.is_deleted:
            return False
        return everything or self._copy.has_changed_inside()

    def _must_be_sent(self) -> bool:
        """Tell whether the cookie must be sent, even if nothing was saved."""
        if self._copy.text is None:
            return self.replaces_another
        return self.id != self._sent_id or self._copy.has_changed_inside()

    def _is_due(self) -> bool:
        """Tell whether it is time to send what the visitor has once more."""
        if self._copy.text is None:
            return False
        # What this request has sent before was signed and timed then.
        return self.cookie is None and (
            self._has_former_key
            or self._has_new_mark
            or self._policy.timeouts.is_access_due(self.last_accessed)
        )

    def _encode(self, mine: Data) -> str:
        """Return the text to be sent; raise RecordTooLarge for too much."""
        text = self._policy.codec.encode(mine)
        name, value = self._policy.cookies.name, "0" * SIGNATURE_LENGTH + text
        if is_small(name, value):
            return text
        size, room = cookie_size(name, value), self._room_for_login()
        if size > MAX_COOKIE_SIZE - room:
            limit = f"{MAX_COOKIE_SIZE} that browsers keep"
            if room:
                limit += f", of which a login needs {room}"
            raise RecordTooLarge(
                f"session.type is 'cookie', and the session takes {size} "
                f"bytes of the {limit}. Store less in it, or choose a "
                "session.type that stores on the server."
            )
        return text

    def _room_for_login(self) -> int:
        """Return how many bytes to leave for a user who logs in later.

        Otherwise it would be the login that fails.
        """
        may_log_in = self.owner is None and self._policy.owners.matter
        return _ROOM_FOR_LOGIN if may_log_in else 0

    # Storing in two phases.  See participation.py.

    def prepare(self, everything: bool) -> None:
        """Make sure that ``save`` will succeed.  Raises what it does.

        ``release`` must follow.
        """
        is_needed = everything or self._must_be_sent()
        if is_needed and not self.is_deleted:
            # With another time or nonce it might be too long.
            self._voted = self._encoded(everything)

    def release(self) -> None:
        """Forget what was prepared."""
        self._voted = None
