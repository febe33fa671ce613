# -*- test-case-name: tests.im.test_lastactivity -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The last activity of users (XEP-0012): since when they are away, and with which words they went.

It is told those only who may see the presence of the user; others get C{forbidden}, whether the account exists or not.
Requests to a client pass on the same condition.

The time is stored when the last available resource of an account goes. Those that go within L{INTERVAL} are stored
together, and an account that comes and goes in it only once; after a crash, the last ones are missing.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure

from muccore.im.presence import PresenceHandler
from muccore.im.userdata import storing
from muccore.interfaces import ISession, IUserDataStore, IUserDomain
from muccore.interfaces.filters import BLOCKING, CONSUMED
from muccore.log.logger import Logger
from muccore.routing.handler import BARE, Handler, answersAnyone
from muccore.xmpp import jid, ns
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReplyOrNone
from muccore.xmpp.guestnames import isGuestName
from muccore.xmpp.jid import JID
from muccore.xmpp.specs import Spec

KIND: Final = "last-activity"
KEY: Final = "unavailable"
"""
The document: JSON with the time, the status text, and when the resource that went last had become available; times in
whole seconds since the epoch.
"""

INTERVAL: Final = 10.0
"""Seconds for which times are collected before they are stored."""

BATCH: Final = 1000
"""Accounts whose times are stored at once; the others wait for the next time."""

STATUS_LIMIT: Final = 1024
"""Characters of a status text that are kept."""

_log: Final = Logger()


class LastActivityHandler(Handler):
    """
    Keeps and tells the times.

    @ivar guests: whether the domain has guests, of whom nothing is kept.
    """

    guests = False

    implements = (Spec(12, "Last Activity", "2.0", "Of accounts."),)
    features = (ns.LAST,)

    parent: IUserDomain

    def __init__(self, store: IUserDataStore, presence: PresenceHandler) -> None:
        super().__init__()
        self._store = store
        self._presence = presence
        presence.availableObservers.append(self._came)
        presence.goneObservers.append(self._gone)
        # By session: since when it has been available.
        self._since: WeakKeyDictionary[ISession, float] = WeakKeyDictionary()
        # By account: what is not stored yet, the first to go first.
        self._pending: dict[str, dict[str, Any]] = {}
        self._storing: Any = None
        self._stopping = False

    # Requests

    @answersAnyone
    async def onGet(self, element: Element, to: JID) -> Element:
        """Answer for an account: 0 seconds while a resource is available (§3)."""
        await self._check(to, element)
        query = Element((ns.LAST, "query"), None, {"seconds": "0"})
        if self._presence.available(to.bare):
            return query
        found = self._pending.get(to.bare)
        if found is None:
            with storing():
                content = await self._store.get(to.bare, KIND, KEY)
            if content is None:
                raise StanzaError("item-not-found", text="The account has not been available yet.")
            found = json.loads(content)
        query.attributes["seconds"] = str(max(0, int(self.parent.now()) - found["time"]))
        if found["status"]:
            query.children.append(found["status"])
        return query

    def onReceived(self, element: Element, to: JID, recipients: Collection[ISession]) -> Any:
        """Refuse a request to a client from somebody who may not see its presence (§4)."""
        if not to.resource or element.attributes.get("type") != "get":
            return element
        payload = next(element.childElements())
        if (payload.uri, payload.name) != (ns.LAST, "query"):
            return element
        sender = jid.parse(element.attributes["from"])
        if sender.bare == to.bare or any(
            sender.full in each.directed or sender.bare in each.directed for each in recipients
        ):
            return element
        checking = Deferred.fromCoroutine(self._check(to, element))
        checking.addCallback(lambda _: self.parent.redeliver(element, to))
        checking.addErrback(self._refuse, element)
        return CONSUMED

    async def _check(self, account: JID, element: Element) -> None:
        if not await self._presence.maySee(account.bare, jid.parse(element.attributes["from"])):
            raise StanzaError("forbidden")

    def _refuse(self, failure: Failure, element: Element) -> None:
        answer = errorReplyOrNone(element, self.parent.toStanzaError(failure))
        if answer is not None:
            self.parent.send(answer)

    # Times

    def restored(self, session: ISession) -> None:
        """Note that a session that was saved is available."""
        if session.priority is not None:
            self._since.setdefault(session, session.prioritySince)

    async def lastLogin(self, account: JID) -> float | None:
        """
        When an account became available last, in seconds since the epoch; C{None} if that is not known.

        @raise StoreError: if the store fails.
        """
        sessions = self.parent.sessions.forAccount(account.bare).values()
        times = [self._since[each] for each in sessions if each in self._since]
        if times:
            return max(times)
        found = self._pending.get(account.bare)
        if found is None:
            content = await self._store.get(account.bare, KIND, KEY)
            found = {} if content is None else json.loads(content)
        return found.get("login")

    def forget(self, account: JID) -> None:
        """Store no time of an account that is being removed."""
        self._pending.pop(account.bare, None)

    def _came(self, session: ISession) -> None:
        """Note that a session is available."""
        self._since.setdefault(session, self.parent.now())

    def _gone(self, session: ISession, element: Element) -> None:
        """Note that a session is not available any more."""
        login = self._since.pop(session, self.parent.now())
        if self.guests and isGuestName(session.account.local):
            return
        account = session.account.bare
        if self._presence.available(account):
            return
        status = (element.childText("status") or "")[:STATUS_LIMIT]
        self._pending.pop(account, None)
        self._pending[account] = {"time": int(self.parent.now()), "status": status, "login": int(login)}
        if self._stopping:
            self._storeNow()
        elif self._storing is None:
            self._storing = self.parent.clock.callLater(INTERVAL, self._storeNow)

    def _storeNow(self) -> Deferred[Any]:
        """Store the times of one batch; those that cannot be stored are lost, which is logged."""
        self._storing = None
        if len(self._pending) > BATCH and not self._stopping:
            self._storing = self.parent.clock.callLater(INTERVAL, self._storeNow)
        batch = list(self._pending.items())[:BATCH]
        waiting = []
        for account, found in batch:
            content = json.dumps(found, ensure_ascii=False).encode()
            waiting.append(self._store.change(account, {(KIND, KEY): content}).addBoth(self._stored, account, found))
        return gatherResults(waiting).addCallback(self._logFailures)

    def _stored(self, result: Any, account: str, found: dict[str, Any]) -> Any:
        # Unless the account has gone again.
        if self._pending.get(account) is found:
            del self._pending[account]
        return result.value if isinstance(result, Failure) else None

    @staticmethod
    def _logFailures(results: list[Exception | None]) -> None:
        failed = [each for each in results if each is not None]
        if failed:
            _log.error(
                "the last activity of {count} users cannot be stored: {error}", count=len(failed), error=str(failed[0])
            )

    def shutDown(self, final: bool) -> Deferred[Any]:
        """Store all times now, and later ones at once."""
        self._stopping = True
        if self._storing is not None:
            self._storing.cancel()
            self._storing = None
        return self._storeAll()

    def _storeAll(self) -> Deferred[Any]:
        if not self._pending:
            return succeed(None)
        return self._storeNow().addCallback(lambda _: self._storeAll())

    iqs = {("get", BARE, ns.LAST, "query"): onGet}
    inbound = {("iq", BLOCKING + 10): onReceived}
