# -*- test-case-name: tests.im.test_offline -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Offline messages (XEP-0160): kept for users without a resource that could get them, and delivered to the first one that
becomes available with a priority that is not negative.

Each is a document of the user, whose key has the order. It is removed when the resource has been given it: if the
server is killed in between, it comes again; stream management returns what a client has not acknowledged. What
arrives while earlier ones are being delivered waits for these.

Messages to accounts that do not exist vanish in the same way, so that nobody learns which do (RFC 6121 §8.5.1).
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from twisted.internet.defer import Deferred

from muccore.im.presence import PresenceHandler
from muccore.im.userdata import Turns, Work, storing
from muccore.interfaces import DataTooLarge, IAuthBackend, ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import CONSUMED, LOADING, STORE
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.xmpp import ns
from muccore.xmpp.delays import withDelay
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute
from muccore.xmpp.specs import Spec

KIND: Final = "offline"
"""The kind of the documents."""

WAITING: Final = 1000
"""Messages for one user that wait to be stored or delivered; more are refused."""

_MESSAGE: Final = b"<message"
_TO: Final = b"\n"
"""Between the C{to} and the rest of a stored message: no rendered attribute has it."""

_MICROSECONDS: Final = 1_000_000
_SILENT: Final = frozenset([ns.CHAT_STATES, ns.HINTS, ns.STANZA_ID, ns.DELAY])

_log: Final = Logger()


class OfflineHandler(Handler):
    """
    Keeps and delivers the messages.

    @ivar work: what is being stored and delivered.
    """

    implements = (Spec(160, "Best Practices for Handling Offline Messages", "1.0.1"),)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, accounts: IAuthBackend, presence: PresenceHandler, limit: int) -> None:
        """@param limit: the bytes of one user's messages; 0: none are kept."""
        super().__init__()
        self.limit = limit
        self._store = store
        self._accounts = accounts
        self.work = Work()
        self._turns = Turns(WAITING)
        self._count = count()
        # By account: what has arrived since its earlier messages are being delivered.
        self._delivering: dict[str, list[tuple[Element, JID]]] = {}
        # The accounts for which that has to be done once more.
        self._again: set[str] = set()
        presence.readyObservers.append(lambda session: self._deliver(session.account.bare))

    # Keeping

    def onOffline(self, element: Element, to: JID) -> Any:
        """Store a message, unless it says nothing later, or its sender does not want that (XEP-0334 §4.2)."""
        if not self.limit:
            return element
        if not _isWorthStoring(element):
            return CONSUMED
        return self._keep(element, to)

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is discovered (§4)."""
        return ("msgoffline",) if self.limit else ()

    async def _keep(self, element: Element, to: JID) -> Any:
        with self.work.inProgress():
            # A resource may have become available meanwhile.
            if await self._add(element, to) and self._readySession(to.bare) is not None:
                self._deliver(to.bare)
        return CONSUMED

    async def _add(self, element: Element, to: JID) -> bool:
        """Store a message; return whether there is such an account."""
        account, when = to.bare, self.parent.now()
        async with self._turns.take(account):
            with storing():
                if not await self._accounts.hasAccount(account):
                    return False
                stored = withDelay(Rendered.of(element), self.parent.name, when)
                content = toAttribute(element.attributes["to"]) + _TO + stored.tail
                key = f"{round(when * _MICROSECONDS):020}-{next(self._count) % 1_000_000:06}"
                try:
                    await self._store.change(account, {(KIND, key): content}, {KIND: self.limit})
                except DataTooLarge:
                    # §3: as if it could not be stored at all.
                    raise StanzaError("service-unavailable", text="Too many messages wait for this user.") from None
        return True

    async def forget(self, account: JID) -> None:
        """Wait for what is being done with the messages to an account that is being removed."""
        await self._turns.settle(account.bare)

    # Delivering

    def onMessage(self, element: Element, to: JID, recipients: Any) -> Any:
        """Let what arrives for a user wait for their earlier messages."""
        waiting = self._delivering.get(to.bare)
        if waiting is None or element.attributes.get("type") in ("error", "groupchat", "headline"):
            return element
        if len(waiting) >= WAITING:
            raise StanzaError("resource-constraint", text="Too many messages wait for this user.")
        waiting.append((element, to))
        return CONSUMED

    def _readySession(self, account: str) -> ISession | None:
        """The resource that gets messages: of those with the highest priority, if it is not negative, the first."""
        sessions = self.parent.sessions.forAccount(account).values()
        ready = [each for each in sessions if each.priority is not None and each.priority >= 0]
        return max(ready, key=lambda session: session.priority, default=None)

    def _deliver(self, account: str) -> None:
        """Begin to deliver the messages of a user; what is not delivered yet when it ends stays stored."""
        if account in self._delivering:
            self._again.add(account)
            return
        self._delivering[account] = []
        Deferred.fromCoroutine(self._deliverAndGoOn(account))

    async def _deliverAndGoOn(self, account: str) -> None:
        """Deliver the messages of a user, then what has arrived meanwhile."""
        with self.work.inProgress():
            try:
                await self._deliverAll(account)
            except Exception as e:
                _log.error(
                    "offline messages of {account} cannot be delivered: {error}", account=account, error=str(e)
                )
            for element, to in self._delivering.pop(account):
                self.parent.dispatch(element, to)
            if account in self._again:
                self._again.discard(account)
                if self._readySession(account) is not None:
                    self._deliver(account)

    async def _deliverAll(self, account: str) -> None:
        async with self._turns.take(account):
            for key in await self._store.keys(account, KIND):
                content = await self._store.get(account, KIND, key)
                session = self._readySession(account)
                if session is None:
                    return
                if content is not None:
                    to, _, tail = content.partition(_TO)
                    session.deliver(Rendered(_MESSAGE, tail), to)
                    await self._store.change(account, {(KIND, key): None})

    # Before other filters, which get it when it is delivered: who needs a copy may change meanwhile.
    inbound = {("message", LOADING + 10): onMessage}
    offline = {("message", STORE): onOffline}


def _isWorthStoring(message: Element) -> bool:
    """Whether a message says something that matters later (§3)."""
    if message.child("no-store", ns.HINTS) is not None or message.child("no-permanent-store", ns.HINTS) is not None:
        return False
    if message.child("store", ns.HINTS) is not None:
        return True
    return any(
        child.uri not in _SILENT and (child.uri, child.name) != (ns.CLIENT, "thread")
        for child in message.childElements()
    )
