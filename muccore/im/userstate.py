# -*- test-case-name: tests.im.test_userstate -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
What filters need to know of accounts at once: whom they block, and the hash of their avatars.

It is loaded when the first stanza from or to an account comes. That stanza, and all that come meanwhile, wait: filters
are asked about them again, in order, when it is there. It is kept as long as the account has sessions, and those that
were used last for a minute: another process may delete an account, and a new one of its name must not have its state.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

from muccore.im.archivepreferences import ArchivePreferences
from muccore.im.userdata import storing
from muccore.interfaces import ISession, IUserDataStore, IUserDomain, IUserState, IUserStates
from muccore.interfaces.filters import CONSUMED, LOADING
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.routing.turns import WAITING_LIMIT, WaitingMemory, Work
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReplyOrNone
from muccore.xmpp.jid import JID

BLOCKED: Final = "blocked"
"""The kind of documents whose keys are the addresses that an account blocks; their contents are empty."""

VCARD: Final = "vcard"
"""The kind of documents about the vCard: L{CARD} and L{PHOTO}."""

CARD: Final = "xml"
PHOTO: Final = "photo"

RECENT_LIMIT: Final = 1024
"""Accounts without sessions whose states are kept."""

RECENT_TIME: Final = 60.0
"""Seconds after which the state of an account without sessions is loaded again."""

_NO_PUSHES: Final[Mapping[tuple[str, str], Any]] = {}

_log: Final = Logger()


@implementer(IUserState)
class UserState:
    """
    The state of one account, with the attributes of L{IUserState}.

    @ivar since: when it was loaded, in seconds of the domain's clock.
    """

    __slots__ = ("__weakref__", "_account", "archiving", "blocked", "photo", "pushes", "since")

    def __init__(self, account: JID, blocked: set[str], photo: str | None, since: float = 0.0) -> None:
        self._account = account
        self.archiving: ArchivePreferences | None = None
        self.blocked = blocked
        self.photo = photo
        self.pushes: Mapping[tuple[str, str], Any] = _NO_PUSHES
        self.since = since

    def blocks(self, address: JID) -> bool:
        """See L{IUserState.blocks}: XEP-0191 §5, in any order, since it makes no difference."""
        blocked = self.blocked
        if not blocked or address.bare == self._account.bare or address.bare == self._account.domain:
            return False
        return address.bare in blocked or address.domain in blocked or address.full in blocked


class _Waiting(NamedTuple):
    """A stanza that waits: of a session, or to the account (C{None}). C{size} is the memory that it counts for."""

    element: Element
    to: JID | None
    session: ISession | None
    size: int = 0


@implementer(IUserStates)
class UserStates(Handler):
    """
    Loads the states, and keeps them.

    @ivar work: what is being loaded.
    @ivar loaders: called with an account and its state, before anybody else gets that; they load parts of it, and may
        fail with L{StoreError<muccore.interfaces.StoreError>}.
    """

    parent: IUserDomain

    def __init__(self, store: IUserDataStore) -> None:
        super().__init__()
        self.work = Work()
        self.loaders: list[Callable[[JID, UserState], Awaitable[None]]] = []
        self._store = store
        self._states: WeakValueDictionary[str, UserState] = WeakValueDictionary()
        # Keeps some of them, the last used at the end.
        self._recent: OrderedDict[str, UserState] = OrderedDict()
        self._loading: dict[str, list[_Waiting]] = {}
        self._memory = WaitingMemory(WAITING_LIMIT)
        # What waits for states that another restored session of the account has requested.
        self._restoring: dict[str, list[Deferred[Any]]] = {}

    def get(self, account: str) -> UserState | None:
        """The state of an account, if it is in memory."""
        return self._states.get(account)

    async def load(self, account: JID) -> UserState:
        """
        See L{IUserStates.load}.

        @raise StanzaError: if it cannot be loaded.
        """
        return self._states.get(account.bare) or await self._read(account)

    def restored(self, session: ISession) -> Deferred[Any]:
        """Load the state for a session that exists already. If that fails, its first stanza tries again."""
        account = session.account.bare
        if account in self._loading:
            waiting: Deferred[Any] = Deferred()
            self._restoring.setdefault(account, []).append(waiting)
            return waiting
        if self._states.get(account) is None:
            return Deferred.fromCoroutine(self._loadAndGoOn(session.account))
        self._attach(account)
        return succeed(None)

    def onSent(self, session: ISession, element: Element, to: JID | None) -> Any:
        """Let a stanza of a client wait for the state of its account."""
        if session.userState is not None:
            return element
        account = session.account.bare
        for other in self.parent.sessions.forAccount(account).values():
            if other.userState is not None:
                session.userState = other.userState
                return element
        # Not one that is kept: while nobody was logged in, the account may have been deleted and created again.
        return element if self._load(session.account, _Waiting(element, to, session)) else CONSUMED

    def onReceived(self, element: Element, to: JID, recipients: tuple[ISession, ...]) -> Any:
        """Let a stanza to an account wait for its state."""
        if recipients and recipients[0].userState is not None:
            return element
        account = to.bare
        state = self._states.get(account)
        if state is not None and account not in self._loading and (
            self.parent.clock.seconds() - state.since < RECENT_TIME or self.parent.sessions.forAccount(account)
        ):
            self._keep(account, state)
            return element
        return element if self._load(to.bareJID(), _Waiting(element, to, None)) else CONSUMED

    async def forget(self, account: JID) -> None:
        """Keep nothing of an account whose documents were removed."""
        while account.bare in self._loading:
            await deferLater(self.parent.clock, 0)
        self._recent.pop(account.bare, None)
        self._states.pop(account.bare, None)

    def _load(self, account: JID, waiting: _Waiting) -> bool:
        """
        Load a state, and let a stanza wait for it.

        @return: whether it is there already, and the stanza need not wait.
        @raise StanzaError: if it could not be loaded, or too many wait.
        """
        name = account.bare
        if name not in self._loading:
            loading = Deferred.fromCoroutine(self._loadAndGoOn(account))
            if name not in self._loading:
                # It has finished at once.
                errors: list[StanzaError | None] = []
                loading.addCallback(errors.append)
                if errors[0] is not None:
                    raise errors[0]
                return True
        size = self._memory.add(name, waiting.element)
        self._loading[name].append(waiting._replace(size=size))
        return False

    async def _loadAndGoOn(self, account: JID) -> StanzaError | None:
        """Load a state, and handle what waits for it. Return the error with which it was refused; never fails."""
        with self.work.inProgress():
            return await self._loadAndHandle(account)

    async def _loadAndHandle(self, account: JID) -> StanzaError | None:
        name, state, error = account.bare, None, None
        self._loading[name] = []
        try:
            state = await self._read(account)
        except StanzaError as e:
            error = e
        except Exception:
            _log.failure("{domain}: the state of an account cannot be loaded", domain=self.parent.name)
            error = StanzaError("internal-server-error")
        else:
            self._states[name] = state
            self._keep(name, state)
            self._attach(name)
        for waiting in self._take(name):
            try:
                if state is not None:
                    self._goOn(waiting, state)
                elif error is not None:
                    self._refuse(waiting, error)
            except Exception:
                _log.failure("{domain}: a stanza that waited could not be handled", domain=self.parent.name)
        for restoring in self._restoring.pop(name, ()):
            restoring.callback(error)
        return error

    async def _read(self, account: JID) -> UserState:
        """Load a state; L{StanzaError} if the store fails."""
        name = account.bare
        with storing():
            blocked = set(await self._store.keys(name, BLOCKED))
            photo = await self._store.get(name, VCARD, PHOTO)
            hash = None if photo is None else photo.decode()
            state = UserState(account, blocked, hash, self.parent.clock.seconds())
            for load in self.loaders:
                await load(account, state)
        return state

    def _attach(self, account: str) -> None:
        state = self._states[account]
        for session in self.parent.sessions.forAccount(account).values():
            session.userState = state

    def _take(self, account: str) -> list[_Waiting]:
        taken = self._loading.pop(account)
        for waiting in taken:
            self._memory.remove(account, waiting.size)
        return taken

    def _keep(self, account: str, state: UserState) -> None:
        self._recent[account] = state
        self._recent.move_to_end(account)
        if len(self._recent) > RECENT_LIMIT:
            self._recent.popitem(last=False)

    def _goOn(self, waiting: _Waiting, state: UserState) -> None:
        element, to, session, _ = waiting
        if session is None:
            assert to is not None, "it has been received"
            self.parent.dispatch(element, to)
        elif not (session.ended and element.name == "presence"):
            # Presence of a session that has ended would never be revoked. Its messages are sent.
            session.userState = state
            filtered = self.parent.filterOutbound(session, element, to)
            if filtered is not None and to is not None:
                self.parent.send(filtered)

    def _refuse(self, waiting: _Waiting, error: StanzaError) -> None:
        element, _, session, _ = waiting
        if session is not None:
            session.sendError(element, error)
            return
        answer = errorReplyOrNone(element, error)
        if answer is not None:
            self.parent.send(answer)

    outbound = {("message", LOADING): onSent, ("presence", LOADING): onSent, ("iq", LOADING): onSent}
    inbound = {("message", LOADING): onReceived, ("presence", LOADING): onReceived, ("iq", LOADING): onReceived}
