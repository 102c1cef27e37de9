"""The session of one request: opened at first use, stored when it ends.

It answers 503 if the store fails, and warns of a wrong signature.
"""

import logging
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import suppress
from http.cookies import Morsel
from typing import Any
from typing import TypeVar
from weakref import ref

from zope.component import getUtility
from zope.interface import implementer
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.Iterators import IUnboundStreamIterator

from collective.beaker.interfaces import ISession
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.session.answers import copy_answer
from collective.beaker.session.answers import depend_on_cookie
from collective.beaker.session.answers import keep_private
from collective.beaker.session.answers import send_cookie
from collective.beaker.session.answers import unavailable
from collective.beaker.session.by_id import SessionById
from collective.beaker.session.by_id import find_by_id
from collective.beaker.session.clients import describe_client
from collective.beaker.session.cookies import presented_values
from collective.beaker.session.mapping import SessionMapping
from collective.beaker.session.opened import BEAKERS_ATTRIBUTES
from collective.beaker.session.opened import OpenedSession
from collective.beaker.session.opening import open_session
from collective.beaker.session.orphans import warn_of_orphan
from collective.beaker.session.owners import Right
from collective.beaker.session.owners import current_user
from collective.beaker.session.owners import knows_user
from collective.beaker.session.owners import user_of
from collective.beaker.session.participation import join
from collective.beaker.session.policy import Policy
from collective.beaker.session.policy import policy_for
from collective.beaker.session.policy import warn_of_bad_signature


logger = logging.getLogger("collective.beaker")

_Result = TypeVar("_Result")


@implementer(ISession)
class LazySession(SessionMapping):
    """The session of one request.  See ISession.

    It is opened at the first use: only then is it known in which site the
    request is, and so which options hold.
    """

    # Most requests leave these as they are: they use no session.
    _session: OpenedSession | None = None
    _policy: Policy | None = None
    _cookie: "Morsel[str] | None" = None
    _expired_cookies: "Sequence[Morsel[str]]" = ()
    _presented: Sequence[str] | None = None
    """The values of the visitor's cookies, once they are known."""

    _is_used = _is_saved = _has_joined = _is_closed = False
    _is_transactional = _saves_itself = False
    is_traversed = False
    """Whether the user is known, or it is certain that there is none."""

    _is_judged = False
    """Whether it is certain that this user may use the session."""

    _keeps_nothing = False
    """Whether nothing is stored, as the session may be that of the user, who
    is not known."""

    _left: OpenedSession | None = None
    """The session of a user that code has saved or ended before it was known
    that nobody is logged in."""

    _user: tuple[str | None, ...] = ()
    """The user who has logged in, or out, in this request."""

    is_told_of_user = False
    """Whether a login or a logout was told, and not rolled back."""

    takes_cookie = True
    """Whether the answer can take the cookie."""

    is_unavailable = False
    """Whether this request has met a store that cannot be used."""

    def __init__(self, request: HTTPRequest):
        # Not the request: its environment holds this session, and a cycle
        # would keep it until garbage is collected.
        self._request = ref(request)
        self._cookies = request.cookies
        environ = request.environ
        self._cookie_header = environ.get("HTTP_COOKIE", "")
        self._testing = environ.get("paste.testing_variables")
        self._user_agent = environ.get("HTTP_USER_AGENT", "")
        self._client_address = request.getClientAddr()

    # Opening

    def _open(self) -> OpenedSession:
        session = self._session
        if session is None:
            session = self._open_presented()
        if not self._is_judged and (self.knows_user or self._has_failed()):
            session = self._respect_owner(session)
        if self._is_transactional and not self._has_joined:
            self._has_joined = join(self)
        return session

    def _open_presented(self) -> OpenedSession:
        """Open the session that the visitor's cookie presents."""
        policy = self._policy
        if policy is None:
            policy = self._policy = policy_for(getUtility(ISessionConfig))
        values = self._presented
        if values is None:
            name = policy.cookies.name
            header = self._cookie_header
            values = presented_values(self._cookies, header, name)
            self._presented = values
        session = self._session = self._guard(open_session, policy, values)
        self._is_used = True
        options = policy.options
        self._saves_itself = options["auto"]
        self._is_transactional = (
            options["transactional"] and not self._is_closed
        )
        if session.bad_signature:
            warn_of_bad_signature(self._client_address)
        self._is_judged = session.owner is None
        name_for_tests = options["webtest_varname"]
        if name_for_tests and self._testing is not None:
            self._testing[name_for_tests] = self
        return session

    def _policy_in_force(self) -> Policy:
        # It may be asked for before the site is known, so it is not kept.
        return self._policy or policy_for(getUtility(ISessionConfig))

    def _guard(
        self, operation: Callable[..., _Result], *arguments: Any
    ) -> _Result:
        """Call what needs the store.

        Raises HTTPServiceUnavailable if it fails, and again at once for the
        rest of the request, which need not wait once more.
        """
        if not self.is_unavailable:
            try:
                return operation(*arguments)
            except StoreUnavailable as error:
                self.is_unavailable = True
                logger.error("%s", error)
        raise unavailable() from None

    def _is_presented(self) -> bool:
        """Tell whether there may be a session, without opening it."""
        return self._is_used or self._has_cookie()

    def _has_cookie(self) -> bool:
        """Tell whether the visitor's request has a cookie of this name."""
        header = self._cookie_header
        return bool(presented_values(self._cookies, header, self.key))

    # Whose it is.  See owners.py.

    def _respect_owner(self, session: OpenedSession) -> OpenedSession:
        """Return the session that the user of this request may use.

        Where the store fails meanwhile, it is looked for again.
        """
        session = self._session = self._allowed(session)
        self._is_judged = True
        return session

    def _allowed(self, session: OpenedSession) -> OpenedSession:
        policy = self._policy_in_force()
        right = self._right_to(session, policy)
        if policy.options.get("id") or right is Right.USE:
            return session
        # With one that code has ended, those of all cookies end.
        other = None if session.is_deleted else self._find_other(policy)
        if other is None and right is Right.REPLACE:
            session.make_way()
            return session
        is_saved = self.knows_user and self._keeps_everything(session)
        if is_saved or session.is_deleted:
            # As a plugin of a user folder that keeps the login in there.
            self._left, self._is_saved = session, False
        if other is not None:
            return other
        # A visitor who is refused has to log in, for which plugins may need
        # a session.  At the end it is too late: it would stay empty.
        asks_to_log_in = self._status() == 401 and not self._is_closed
        self._keeps_nothing = not self.knows_user and not asks_to_log_in
        return self._guard(open_session, policy, [])

    def _find_other(self, policy: Policy) -> OpenedSession | None:
        """Return the first session of another cookie that the user may use."""
        values = self._presented or ()
        for start in range(1, len(values)):
            # All of them, since a logout ends the sessions of all.
            in_turn = [*values[start:], *values[:start]]
            other = self._guard(open_session, policy, in_turn)
            if not other.is_new and self._right_to(other, policy) is Right.USE:
                return other
        return None

    def _right_to(self, session: OpenedSession, policy: Policy) -> Right:
        """Return what the user may do with a session.

        Code that acts as somebody else for a while ends no session.
        """
        owners, owner = policy.owners, session.owner
        right = owners.right_to(owner, self._user_of_request())
        if right is Right.USE:
            return right
        acting = owners.right_to(owner, self._user_at_end())
        return acting if acting is Right.USE else right

    def _give_to(
        self,
        user: str | None,
        session: OpenedSession,
        everything: bool = True,
    ) -> None:
        """Make what a user's request stores the session of that user.

        One that is the user's already gets the mark of the current secret.
        """
        owners = self._policy_in_force().owners
        if user is None or not owners.matter:
            return
        if session.owner is not None:
            if owners.is_former_mark(session.owner, user):
                session.belong_to(owners.mark(user), "")
        # Last, since to tell what has changed takes longer.
        elif session.stores_changes(everything):
            client = describe_client(self._user_agent)
            session.belong_to(owners.mark(user), client)

    @property
    def knows_user(self) -> bool:
        """Whether the user of the request is known, as after traversal.

        Other code may be called after Zope has found the user, but before
        this session is told.
        """
        if not self.is_traversed:
            request = self._request()
            self.is_traversed = request is not None and knows_user(request)
        return self.is_traversed

    def _user_of_request(self) -> str | None:
        """Return the user whom Zope has found, or who has logged in."""
        if self._user:
            return self._user[0]
        request = self._request()
        return None if request is None else user_of(request)

    def is_of(self, user: str) -> bool:
        """Tell whether the user of the request is this one by now."""
        return self._user_of_request() == user

    def _user_at_end(self) -> str | None:
        """Return the same, or else the user as whom code runs by now.

        Code may have logged in a visitor without telling.
        """
        user = self._user_of_request()
        if self._user or user is not None or not self.knows_user:
            return user
        return current_user()

    def _has_failed(self) -> bool:
        """Tell whether Zope makes the page of an error.

        It may not know the user yet.
        """
        return self._status() >= 400

    def _status(self) -> int:
        request = self._request()
        return 200 if request is None else request.response.status

    def log_in(self, user: str) -> None:
        """Give the session, if there is one, to a user who has logged in."""
        self._user, self.is_told_of_user = (user,), True
        self.is_traversed, self._is_judged = True, False
        if self._is_presented():
            self._give_to(user, self._open())

    def log_out(self) -> None:
        """End the session, if there is one, of a user who has logged out."""
        if self._is_presented() and self._policy_in_force().owners.matter:
            self.delete()
        self._user, self.is_told_of_user = (None,), True

    # What code asks for

    def _may_have(self, name: str) -> bool:
        options = self._policy_in_force().options
        return (
            name in options
            or name in BEAKERS_ATTRIBUTES
            or options.get("session_class") is not None
        )

    @property
    def key(self) -> str:
        """The name of the cookie."""
        return self._policy_in_force().cookies.name

    def ids(self) -> set[str]:
        """Return the ids under which the session is, and will be, stored."""
        session = self._open()
        return {session.id, session.stored_id or session.id}

    def accessed(self) -> bool:
        return self._is_used

    def dirty(self) -> bool:
        """Tell whether save() or delete() was called."""
        return self._is_saved

    def save(self) -> None:
        session = self._open()
        if self.knows_user:
            self._give_to(self._user_of_request(), session)
        self._is_saved = True
        self._store_if_late()

    def delete(self) -> None:
        self._open().delete()
        self._is_saved = True
        self._store_if_late()

    def invalidate(self) -> None:
        self._open().invalidate()
        self._store_if_late()

    def regenerate_id(self) -> None:
        self._open().regenerate_id()
        self._store_if_late()

    def get_by_id(self, id: str) -> "SessionById | None":
        return find_by_id(self._policy_in_force(), id, self._guard)

    # Closing

    def persist(self) -> None:
        """Store what this request leaves behind.

        Those are all changes after ``save`` and ``delete`` and with ``auto``,
        otherwise those inside stored values, and the time of access.
        """
        session = self._session or self._open()
        left, self._left = self._left, None
        if left is not None:
            self._store(left, everything=True)
        if self._keeps_nothing:
            self._log_that_nothing_is_kept()
            return
        self._store(session, self._decide_what_to_keep(session))

    def _store(self, session: OpenedSession, everything: bool) -> None:
        """Store a session, and take its cookie for the answer."""
        moves = session.stored_id not in (None, session.id)
        if moves and not self.takes_cookie:
            # The visitor would lose it, whose cookie has the former id.
            logger.warning(
                "A session would have got a new id in a request that fails "
                "without an error page, so that its cookie cannot be sent. "
                "What the request changed in it is not kept."
            )
            return
        if session.replaces_another and not self.takes_cookie:
            # The new one would be nobody's, and its visitor could store
            # nothing as long as the tombstone of the former one lasts.
            session.delete()
        self._guard(session.save, everything)
        cookie = session.cookie
        if cookie is not None:
            self._cookie = cookie
            self._expired_cookies = session.expired_cookies
            # If the session is opened once more, it is that of this cookie.
            self._presented = [cookie.coded_value]

    def _log_that_nothing_is_kept(self) -> None:
        if self._is_saved:
            logger.info(
                "A request failed before its user was known, and has a user's "
                "session. What the request changed in it is not kept."
            )

    def _decide_what_to_keep(self, session: OpenedSession) -> bool:
        """Tell whether all changes are stored, for whoever the user is."""
        everything = self._keeps_everything(session)
        self._give_to(self._user_at_end(), session, everything)
        return everything

    def _keeps_everything(self, session: OpenedSession) -> bool:
        if self._is_saved or not self._saves_itself:
            return self._is_saved
        return session.has_changed()

    def close(self, request: HTTPRequest) -> None:
        """Store the session and set its cookie, once and if it was used.

        In a transaction it has been stored with that, unless it was saved
        after the commit.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._request = ref(request)
        if not self._is_used:
            if IUnboundStreamIterator.providedBy(request.response.body):
                self._expect_late_use()
            return
        try:
            self._close_used(request)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Give up a lock that code has left behind, as where it failed.

        Nobody else would.
        """
        for session in (self._session, self._left):
            if session is not None:
                session.release()

    def _close_used(self, request: HTTPRequest) -> None:
        if self._session is not None and not self._is_judged:
            self._respect_owner(self._session)
        self._note_user()
        depend_on_cookie(request.response)
        is_stored = self._is_transactional and not self._is_saved
        self._is_transactional = False
        if not is_stored:
            self.persist()
        self._send_cookie(request)

    def _expect_late_use(self) -> None:
        """Note the options and the user while site and user are known.

        Neither is any more while an iterator is sent.  Options that are wrong
        are an error for those only who use the session.
        """
        with suppress(Exception):
            self._policy = self._policy_in_force()
        self._note_user()

    def _note_user(self) -> None:
        """Note the user: what comes late may run in another thread."""
        if self.knows_user:
            self._user = (self._user_at_end(),)

    def _send_cookie(self, request: HTTPRequest) -> None:
        if self._cookie is None:
            return
        secure = self.sends_secure(request.get("SERVER_URL", ""))
        response = request.response
        send_cookie(response, self._cookie, secure, self._expired_cookies)
        keep_private(response)
        if not (self._policy_in_force().in_browser or self._has_cookie()):
            warn_of_orphan(request)

    def _store_if_late(self) -> None:
        """Store at once what is changed after the session was closed."""
        if not self._is_closed:
            return
        request = self._request()
        # Zope empties a request before it sends the answer.
        if request is not None and request.other:
            depend_on_cookie(request.response)
            self.persist()
            self._send_cookie(request)
            copy_answer(request.response, self.key)
            return
        session = self._open()
        self._decide_what_to_keep(session)
        if session.needs_cookie:
            logger.warning(
                "A session could not be stored: its response has been sent, "
                "and can no longer carry the cookie. What was changed so late "
                "is not kept."
            )
        else:
            self.persist()

    def sends_secure(self, url: str) -> bool:
        """Tell whether the cookie is for encrypted connections only."""
        secure = self._policy_in_force().options["secure"]
        return url.startswith("https:") if secure == "auto" else bool(secure)

    # The part in a transaction.  See participation.Participant.

    def prepare(self) -> None:
        session = self._open()
        if self._left is not None:
            self._guard(self._left.prepare, True)
        self._guard(session.prepare, self._decide_what_to_keep(session))

    def finish(self) -> None:
        try:
            self.persist()
        finally:
            self._leave_transaction()

    def roll_back(self) -> None:
        self._leave_transaction()
        # Nor has anybody logged in or out.
        self._session, self._user, self.is_told_of_user = None, (), False

    def _leave_transaction(self) -> None:
        self._has_joined = self._is_saved = False
        self.let_go()
        self._left = None

    def snapshot(self) -> Any:
        told = self._user, self.is_told_of_user
        return told, self._is_saved, self._open().snapshot()

    def restore(self, snapshot: Any) -> None:
        # Nor has anybody logged in or out since.
        (self._user, self.is_told_of_user), self._is_saved, state = snapshot
        self._open().restore(state)
        # It may be one that was replaced since, as it was another user's.
        self._is_judged = False
