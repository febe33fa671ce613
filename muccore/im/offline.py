# -*- test-case-name: tests.im.test_offline -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Offline messages (XEP-0160): kept for users without a resource that could get them, and delivered to the first one that
becomes available with a priority that is not negative.

Each is a document of the user, whose key has the order. It stays until a client has it: until that is acknowledged
(XEP-0198), or, without stream management, until the kernel has taken it (docs/design/0031). Until then it is I{given}
to one session, and to no other; if that session ends, it is delivered again, from the store. What arrives while earlier
ones are being delivered waits for these.

Nobody learns who has an account (RFC 6121 §8.5.1): messages to accounts that do not exist vanish, and so do those of
strangers that exceed the limit. Whoever may see the user's presence knows of the account, and gets an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any, Final, NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import implementer

from muccore.im.offlinearchive import OfflineArchive, OfflineClearing
from muccore.im.offlinedocuments import KIND, contentOf, keyOf, partsOf
from muccore.im.presence import PresenceHandler
from muccore.im.userdata import storing
from muccore.interfaces import (
    DataTooLarge,
    IAuthBackend,
    IDeliveryObserver,
    ISession,
    IUserDataStore,
    IUserDomain,
    StoreError,
)
from muccore.interfaces.filters import CONSUMED, LOADING, STORE
from muccore.log.logger import Logger
from muccore.routing.handler import Handler
from muccore.routing.turns import WAITING_LIMIT, Turns, WaitingMemory, Work
from muccore.xmpp import jid, ns
from muccore.xmpp.delays import withDelay
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered
from muccore.xmpp.retractions import isRetraction
from muccore.xmpp.specs import Spec
from muccore.xmpp.stanzaids import stanzaIdBy

WINDOW: Final = 512 * 1024
"""Bytes of the messages that are given to a session at a time: when its client has half of them, others follow."""

_OVERHEAD: Final = 1024
"""Bytes that each message counts besides its own: so those at a time are 500 at most."""

_TAG: Final = f"{KIND}:"
"""Begins the tags of what is tracked; the key of the document follows."""

_MICROSECONDS: Final = 1_000_000
_SILENT: Final = frozenset([ns.CHAT_STATES, ns.HINTS, ns.STANZA_ID, ns.DELAY])

_log: Final = Logger()


class _Waiting(NamedTuple):
    """What waits for earlier messages; C{size} is the memory that it counts for."""

    element: Element
    to: JID
    size: int


class _Delivery:
    """
    The delivery of the messages of one account that is going on.

    @ivar returned: what was redelivered meanwhile.
    @ivar waiting: what has arrived meanwhile, after all of that.
    @ivar again: whether to look again for what is to be delivered: something was lost, or another session is ready.
    @ivar window: fires when the session may be given more, with C{True}, or with C{False} to leave the rest for later;
        C{None} while it may.
    """

    __slots__ = ("again", "returned", "waiting", "window")

    def __init__(self) -> None:
        self.returned: list[_Waiting] = []
        self.waiting: list[_Waiting] = []
        self.again = False
        self.window: Deferred[bool] | None = None

    def goOn(self, more: bool) -> None:
        """Fire C{window}, if somebody waits for it."""
        window, self.window = self.window, None
        if window is not None:
            window.callback(more)


@implementer(IDeliveryObserver)
class OfflineHandler(Handler):
    """
    Keeps and delivers the messages.

    @ivar work: what is being stored and delivered.
    @ivar archive: asked about what is to be stored; C{None}: there is none.
    """

    implements = (Spec(160, "Best Practices for Handling Offline Messages", "1.0.1"),)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, accounts: IAuthBackend, presence: PresenceHandler, limit: int) -> None:
        """@param limit: the bytes of one user's messages; 0: none are kept."""
        super().__init__()
        self.limit = limit
        self.archive: OfflineArchive | None = None
        self._store = store
        self._accounts = accounts
        self._presence = presence
        self.work = Work()
        self._turns = Turns(WAITING_LIMIT)
        self._memory = WaitingMemory(WAITING_LIMIT)
        self._count = count()
        self._stopping = False
        self._deliveries: dict[str, _Delivery] = {}
        # The accounts with messages left that no delivery waits for.
        self._left: set[str] = set()
        # By account, then by key: the session that was given it (C{None}: it is being removed), and what it counts.
        self._given: dict[str, dict[str, tuple[ISession | None, int]]] = {}
        # By account: what could not be removed.
        self._unremoved: dict[str, list[str]] = {}
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
    def streamFeatures(self) -> tuple[OfflineClearing, ...]:  # type: ignore[override]
        """Clearing, if there is an archive."""
        return () if self.archive is None else (OfflineClearing(self.clear),)

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
        """Store a message; return whether it was."""
        account, when = to.bare, self.parent.now()
        async with self._turns.take(account, element):
            with storing():
                # An account that does not exist has a limit of 0: a store that fails does so for it as well.
                limit = self.limit if await self._accounts.hasAccount(account) else 0
                append = None
                if limit and self.archive is not None:
                    element, append = await self.archive.prepare(element, to)
                stored = withDelay(Rendered.of(element), self.parent.name, when)
                content = contentOf(element.attributes["to"], stored)
                key = keyOf(round(when * _MICROSECONDS), next(self._count))
                try:
                    if append is not None:
                        # What is refused must not be in the archive (XEP-0313 §6.1), what is delivered must.
                        size = await self._store.size(account, KIND) + len(key) + len(content)
                        if size > limit:
                            raise DataTooLarge
                        append()
                    try:
                        await self._store.change(account, {(KIND, key): content}, {KIND: limit})
                    except StoreError:
                        if append is not None:
                            await self._takeBack(element, account)
                        raise
                except DataTooLarge:
                    pass
                else:
                    return True
        if await self._presence.maySee(account, jid.parse(element.attributes["from"])):
            # §3: as if it could not be stored at all.
            raise StanzaError("service-unavailable", text="Too many messages wait for this user.")
        return False

    async def _takeBack(self, element: Element, account: str) -> None:
        """Remove what is returned from the archive (XEP-0313 §6.1)."""
        try:
            if self.archive is not None:
                await self.archive.takeBack(element, account)
        except StoreError as e:
            _log.error("a message that {account} does not get stays archived: {error}", account=account, error=str(e))

    async def forget(self, account: JID) -> None:
        """Wait for what is being done with the messages to an account that is being removed."""
        await self._turns.settle(account.bare)

    # Clearing

    async def clear(self, account: str) -> None:
        """
        Remove the messages of an account, a bare JID, that are in its archive, unless a client is available that is to
        get them. If a store fails, which is logged, they stay, and are delivered.
        """
        with self.work.inProgress():
            try:
                async with self._turns.take(account):
                    archived = [key for key in await self._store.keys(account, KIND) if await self._isIn(account, key)]
                    left = self._given.get(account, ())
                    cleared = {(KIND, key): None for key in archived if key not in left}
                    if cleared and self._readySession(account) is None:
                        await self._store.change(account, cleared)
            except StoreError as e:
                _log.error("offline messages of {account} cannot be cleared: {error}", account=account, error=str(e))

    async def _isIn(self, account: str, key: str) -> bool:
        """Whether a message that is stored is in the archive as well: an id alone does not say that it ever was."""
        content = await self._store.get(account, KIND, key)
        if content is None or self.archive is None:
            return False
        id = stanzaIdBy(partsOf(content)[1].element, account)
        return id is not None and await self.archive.has(account, id)

    # Delivering

    def onMessage(self, element: Element, to: JID, recipients: Any) -> Any:
        """Let what arrives for a user wait for their earlier messages, unless it will be refused (XEP-0191)."""
        delivery = self._deliveries.get(to.bare)
        if delivery is None or self._isBlocked(element, to.bare):
            return element
        return self._wait(element, to, delivery, delivery.waiting)

    def _isBlocked(self, element: Element, account: str) -> bool:
        """Whether an account blocks a sender, who must not be able to fill what may wait for it."""
        states = (session.userState for session in self.parent.sessions.forAccount(account).values())
        state = next((state for state in states if state is not None), None)
        return state is not None and bool(state.blocked) and state.blocks(jid.parse(element.attributes["from"]))

    def onRedelivered(self, element: Element, to: JID) -> Any:
        """Let what is redelivered wait for what was given to the same session, and before it."""
        delivery = self._deliveries.get(to.bare)
        return element if delivery is None else self._wait(element, to, delivery, delivery.returned)

    def _wait(self, element: Element, to: JID, delivery: _Delivery, waiting: list[_Waiting]) -> Any:
        if element.attributes.get("type") in ("error", "groupchat", "headline"):
            return element
        account = to.bare
        waiting.append(_Waiting(element, to, self._memory.add(account, element)))
        session = self._readySession(account)
        if session is None or session.stream is None:
            # It may be long before its client is back.
            delivery.goOn(False)
        return CONSUMED

    def _readySession(self, account: str) -> ISession | None:
        """
        The resource that gets messages: of those with a stream, or else of the others, those with the highest priority,
        if it is not negative, of these the first.
        """
        sessions = self.parent.sessions.forAccount(account).values()
        ready = [each for each in sessions if each.priority is not None and each.priority >= 0]
        return max(ready, key=lambda session: (session.stream is not None, session.priority), default=None)

    def _deliver(self, account: str) -> None:
        """Begin to deliver the messages of a user, or look again; what is not delivered when it ends stays stored."""
        delivery = self._deliveries.get(account)
        if delivery is not None:
            delivery.again = True
            delivery.goOn(True)
            return
        self._left.discard(account)
        self._deliveries[account] = delivery = _Delivery()
        Deferred.fromCoroutine(self._deliverAndGoOn(account, delivery))

    async def _deliverAndGoOn(self, account: str, delivery: _Delivery) -> None:
        """Deliver the messages of a user, then what has arrived meanwhile."""
        with self.work.inProgress():
            try:
                while await self._deliverSome(account, delivery):
                    if not await self._mayGoOn(account, delivery):
                        self._left.add(account)
                        break
            except Exception as e:
                _log.error(
                    "offline messages of {account} cannot be delivered: {error}", account=account, error=str(e)
                )
            del self._deliveries[account]
            for function, waiting in (
                (self.parent.redeliver, delivery.returned), (self.parent.dispatch, delivery.waiting),
            ):  # fmt: skip
                for each in waiting:
                    self._memory.remove(account, each.size)
                    function(each.element, each.to)
            if delivery.again and self._readySession(account) is not None:
                self._deliver(account)

    async def _deliverSome(self, account: str, delivery: _Delivery) -> bool:
        """Give a session messages of its account; return whether there may be more."""
        async with self._turns.take(account):
            delivery.again = False
            keys = await self._store.keys(account, KIND)
            for key in keys:
                if key in self._given.get(account, ()):
                    continue
                content = await self._store.get(account, KIND, key)
                session = self._readySession(account)
                if session is None:
                    return False
                if delivery.again:
                    # What is lost comes before this one.
                    return True
                if content is None or key in self._given.get(account, ()):
                    continue
                if self._inWindow(account, session) >= WINDOW:
                    return True
                self._given.setdefault(account, {})[key] = session, len(content) + _OVERHEAD
                to, message = partsOf(content)
                session.deliverTracked(message, to, _TAG + key)
        return delivery.again

    async def _mayGoOn(self, account: str, delivery: _Delivery) -> bool:
        """Wait until a session may be given more, or return C{False} to leave it for later."""
        session = self._readySession(account)
        if delivery.again or session is None or self._inWindow(account, session) < WINDOW:
            return True
        if self._stopping:
            return False
        delivery.window = Deferred()
        return await delivery.window

    def _inWindow(self, account: str, session: ISession) -> int:
        """What a session was given that its client may not have, in bytes."""
        return sum(size for owner, size in self._given.get(account, {}).values() if owner is session)

    # What has become of them

    def deliverySettled(self, session: ISession, tags: Sequence[str], delivered: bool) -> None:
        """Remove messages that the client has; deliver again what is lost."""
        keys = [tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)]
        account = session.account.bare
        given = self._given.get(account)
        if not keys or given is None:
            return
        if delivered:
            given.update(dict.fromkeys(keys, (None, 0)))
            Deferred.fromCoroutine(self._remove(account, keys))
            self._goOn(account, session)
        else:
            self._forget(account, keys)
            if account in self._deliveries or self._readySession(account) is not None:
                self._deliver(account)

    def _goOn(self, account: str, session: ISession) -> None:
        """Deliver more to a session if it has little left."""
        delivery = self._deliveries.get(account)
        if delivery is None and account not in self._left:
            return
        if self._inWindow(account, session) <= WINDOW // 2:
            if delivery is None:
                self._deliver(account)
            else:
                delivery.goOn(True)

    async def _remove(self, account: str, keys: Iterable[str]) -> None:
        """Remove messages. If that fails, which is logged, they are given to nobody, and removed with the next ones."""
        with self.work.inProgress():
            removed = [*self._unremoved.pop(account, ()), *keys]
            try:
                await self._store.change(account, {(KIND, key): None for key in removed})
            except Exception as e:
                _log.error("offline messages of {account} cannot be removed: {error}", account=account, error=str(e))
                self._unremoved.setdefault(account, []).extend(removed)
            else:
                self._forget(account, removed)

    def _forget(self, account: str, keys: Iterable[str]) -> None:
        given = self._given.get(account, {})
        for key in keys:
            given.pop(key, None)
        if not given:
            self._given.pop(account, None)

    # Over a restart

    def restored(self, session: ISession) -> None:
        """Note what a session that was saved was given, and deliver what is left."""
        account = session.account.bare
        keys = [tag.removeprefix(_TAG) for tag in session.management.tracked if tag.startswith(_TAG)]
        if keys:
            given = dict.fromkeys(keys, (session, _OVERHEAD))
            self._given.setdefault(account, {}).update(given)
            # There may be more: it was given some at a time.
            self._left.add(account)
        elif session.priority is not None and session.priority >= 0:
            # Stored after the session was saved; once it is known what the others were given.
            self.parent.clock.callLater(0, self._deliverLeft, account)

    def _deliverLeft(self, account: str) -> None:
        if self._readySession(account) is not None:
            self._deliver(account)

    def shutDown(self, final: bool) -> Deferred[None]:
        """Wait for no client any more, and let go what waits for messages."""
        self._stopping = True
        for delivery in list(self._deliveries.values()):
            delivery.goOn(False)
        return Deferred.fromCoroutine(self.work.finished())

    # Before other filters, which get it when it is delivered: who needs a copy may change meanwhile.
    inbound = {("message", LOADING + 10): onMessage}
    redelivered = {("message", LOADING + 10): onRedelivered}
    offline = {("message", STORE): onOffline}


def _isWorthStoring(message: Element) -> bool:
    """
    Whether a message says something that matters later (§3). A retraction always does: whoever has got the other
    message would still show it (XEP-0424 §5).
    """
    if isRetraction(message):
        return True
    # What is not to be stored permanently may be until it is delivered (XEP-0334 §3.3).
    if message.child("no-store", ns.HINTS) is not None:
        return False
    if message.child("store", ns.HINTS) is not None:
        return True
    return any(
        child.uri not in _SILENT and (child.uri, child.name) != (ns.CLIENT, "thread")
        for child in message.childElements()
    )
