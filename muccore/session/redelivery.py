# -*- test-case-name: tests.session.test_redelivery -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
Redelivery of what the client of an ended session has not acknowledged (XEP-0198, Acks): by RFC 6121 §8.5, as if it came
now, to other sessions, to the offline filters, or back. Requests are returned, since another session must not answer
them.

Not redelivered are

  - presence, which is out of date,
  - messages of type C{groupchat}: the occupant has left the room, which has them in its history,
  - messages to the bare JID, or to another session that was gone, that a third one was certainly sent as well,
  - messages of which another session has got a copy (XEP-0280), and the copies themselves; nobody gets copies of what
    comes late, from the offline filters or by redelivery. A copy that was not acknowledged yet becomes the message,
  - the results of requests that the client has made,
  - tracked messages: those who track them know (L{ISession.deliverTracked<muccore.interfaces.ISession>}).

It takes several turns of the reactor, and looks at each stanza in the turn in which it is redelivered: most must be
parsed. Who else has got what was decided when the session ended.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muccore.interfaces import ISession, ISessions, IUserDomain
from muccore.log.logger import Logger
from muccore.session.streammanagement import StreamManagement
from muccore.xmpp import carbons, jid
from muccore.xmpp.element import Element
from muccore.xmpp.errors import StanzaError, errorReplyOrNone
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, fromAttribute, withAddress

BATCH: Final = 50
"""The most stanzas that are looked at in one turn of the reactor."""

TIME_SLICE: Final = 0.02
"""Seconds after which the rest waits for the next turn."""

_log = Logger()


def _isCopied(stanza: Rendered) -> bool:
    return (
        stanza.name == "message"
        and carbons.isEligible(stanza.element)
        and not carbons.isPrivateMessage(stanza.element)
    )


class _Copying:
    """
    The session that has got copies for the longest time.

    If it has not acknowledged the copy of a message, it is given the message itself in its place: otherwise the message
    might be lost with the copy. When it ends, the next one is looked at.
    """

    def __init__(self, session: ISession) -> None:
        self.since: float = session.carbonsSince
        self._management: StreamManagement | None = session.management
        self._copies: dict[bytes, list[int]] | None = None
        self._replaced: dict[int, tuple[Rendered, bytes]] = {}

    def take(self, message: Rendered, to: bytes) -> None:
        """Take a message, as it was sent, of which it has got a copy."""
        if self._management is None:
            return
        if self._copies is None:
            self._copies = self._management.copies()
        # Those with the same content have the same tail.
        numbers = self._copies.get(message.tail)
        if numbers:
            self._replaced[numbers.pop()] = message.withoutElement(), to

    def finish(self) -> None:
        """Replace the copies."""
        if self._management is not None and self._replaced:
            self._management.replace(self._replaced)


class Redelivery:
    """Redelivers stanzas, some in each turn of the reactor."""

    def __init__(self, clock: IReactorTime, sessions: ISessions) -> None:
        self._clock = clock
        self._sessions = sessions
        # By session, what is left of it: a step for each stanza; or one step for a stanza that was postponed.
        self._waiting: deque[tuple[str, Iterator[None]]] = deque()
        # The number of these of each account.
        self._accounts: Counter[str] = Counter()
        self._call: IDelayedCall | None = None
        self._flushed: list[Deferred[None]] = []

    def add(
        self, domain: IUserDomain, session: JID, management: StreamManagement, priority: int | None, since: float
    ) -> None:
        """
        Redeliver what a session has not acknowledged, from the next turn on.

        @param session: its full JID.
        @param priority: its last priority.
        @param since: since when it has had that.
        """
        present = self._sessions.forAccount(session.bare).values()
        others = [
            other.prioritySince
            for other in present
            if priority is not None and other.priority is not None and other.priority >= priority
        ]
        # From then on this session was not sent messages to the bare JID alone (RFC 6121 §8.5.2.1.1).
        shared = max(min(others), since) if others else None
        wanting = [other for other in present if other.carbonsSince is not None]
        copying = _Copying(min(wanting, key=lambda other: other.carbonsSince)) if wanting else None
        if management:
            self._append(session.bare, self._redeliverAll(domain, session, management, shared, copying))

    def _redeliverAll(
        self,
        domain: IUserDomain,
        session: JID,
        management: StreamManagement,
        shared: float | None,
        copying: _Copying | None,
    ) -> Iterator[None]:
        """
        Redeliver what a session has not acknowledged, a stanza a step.

        @param shared: since when another session was sent messages to the bare JID, too; C{None}: none was.
        """
        own: dict[bytes, bool] = {}
        for stanza, to, earliest, sent in management.unacknowledged():
            yield
            if stanza.name == "presence" or not to or stanza.type == "groupchat" or carbons.isCopy(stanza):
                continue
            if copying is not None and earliest > copying.since and stanza is not sent and _isCopied(stanza):
                copying.take(sent, to)
                continue
            if shared is not None and earliest > shared:
                if to not in own:
                    own[to] = jid.parse(fromAttribute(to)) == session
                if not own[to]:
                    continue
            self._redeliver(domain, stanza, to, False)
        if copying is not None:
            copying.finish()

    def _redeliverOne(self, domain: IUserDomain, stanza: Rendered, to: bytes) -> Iterator[None]:
        yield
        self._redeliver(domain, stanza, to, True)

    def postpone(self, domain: IUserDomain, element: Element, to: JID) -> bool:
        """See L{ISessions.postpone}."""
        if to.bare not in self._accounts:
            return False
        self._append(to.bare, self._redeliverOne(domain, *withAddress(element)))
        return True

    def isWaiting(self, account: str) -> bool:
        """Whether something of an account, a bare JID, is left."""
        return account in self._accounts

    def flush(self) -> Deferred[None]:
        """Return a Deferred that fires when everything is redelivered."""
        if not self._waiting:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._flushed.append(done)
        return done

    def _append(self, account: str, steps: Iterator[None]) -> None:
        # Up to the first stanza.
        next(steps)
        self._waiting.append((account, steps))
        self._accounts[account] += 1
        if self._call is None:
            self._call = self._clock.callLater(0, self._run)

    def _run(self) -> None:
        until = self._clock.seconds() + TIME_SLICE
        for _ in range(BATCH):
            if not self._waiting:
                break
            self._step()
            if self._clock.seconds() > until:
                break
        self._call = None
        if self._waiting:
            self._call = self._clock.callLater(0, self._run)
        else:
            flushed, self._flushed = self._flushed, []
            for done in flushed:
                done.callback(None)

    def _step(self) -> None:
        account, steps = self._waiting[0]
        try:
            next(steps)
        except StopIteration:
            pass
        except Exception:
            _log.failure("Unacknowledged stanzas could not be redelivered")
        else:
            return
        self._waiting.popleft()
        self._accounts[account] -= 1
        if not self._accounts[account]:
            del self._accounts[account]

    @staticmethod
    def _redeliver(domain: IUserDomain, stanza: Rendered, to: bytes, new: bool) -> None:
        try:
            element = stanza.elementTo(to)
            if new:
                domain.receive(element, jid.parse(element.attributes["to"]))
            elif stanza.name != "iq":
                domain.redeliver(element, jid.parse(element.attributes["to"]))
            elif stanza.type in ("get", "set"):
                answer = errorReplyOrNone(element, StanzaError("service-unavailable"))
                if answer is not None:
                    domain.send(answer)
        except Exception:
            _log.failure("An unacknowledged stanza could not be redelivered")
