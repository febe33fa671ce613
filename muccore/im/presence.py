# -*- test-case-name: tests.im.test_presence -*-
# Copyright (c) The muccore authors. See LICENSE for details.
"""
The presence of sessions (RFC 6121 §4): an outbound filter, and an observer of their end.

It broadcasts presence to the account's available resources and tracks directed presence, to revoke it however the
session ends. For the roster: subscriptions are refused here until they are supported, and the broadcast reaches the
account's own resources only.
"""

from __future__ import annotations

import re
from typing import Any, Final

from zope.interface import implementer

from muccore.interfaces import ISession, ISessionObserver, IUserDomain
from muccore.interfaces.filters import CONSUMED, PRESENCE
from muccore.routing.handler import Handler
from muccore.xmpp import ns
from muccore.xmpp.element import Element, stanza
from muccore.xmpp.errors import StanzaError
from muccore.xmpp.jid import JID
from muccore.xmpp.rendering import Rendered, toAttribute

_SUBSCRIPTION: Final = frozenset(["subscribe", "subscribed", "unsubscribe", "unsubscribed"])
_PRIORITY: Final = re.compile(r"[+-]?[0-9]{1,4}")

_PRESENCE_LIMIT: Final = 16 * 1024
"""Bytes of broadcast presence, which is kept."""

_UNAVAILABLE_COST_LIMIT: Final = 20_000
"""
Cost limit for final unavailable presence: (tags + bytes/256) x recipients, each of whom gets a copy; above it the
payload is dropped.
"""


@implementer(ISessionObserver)
class PresenceHandler(Handler):
    """Keeps and sends the presence of sessions; each may direct presence to C{directedLimit} addresses."""

    parent: IUserDomain

    def __init__(self, directedLimit: int) -> None:
        super().__init__()
        self.directedLimit = directedLimit

    def onPresence(self, session: ISession, element: Element, to: JID | None) -> Any:
        """Handle presence that a client sends; return it, to be routed, or L{CONSUMED}."""
        type = element.attributes.get("type")
        if type is None:
            if to is None:
                self._available(session, element)
                return CONSUMED
            self._trackDirected(session, to)
        elif type == "unavailable":
            if to is None:
                self._unavailable(session, element)
                return CONSUMED
            session.directed.pop(to.full, None)
        elif type in _SUBSCRIPTION:
            if to is None:
                raise StanzaError("bad-request", text=f"presence of type {type} needs an address")
            if not to.local or to.domain != session.jid.domain:
                raise StanzaError("service-unavailable", text="subscriptions are not supported")
            # Ignored for accounts, whether they exist or not (RFC 6121 §8.5.1), so that nobody learns which do.
            return CONSUMED
        elif type not in ("probe", "error"):
            raise StanzaError("bad-request", text="unknown type of presence")
        # Without an address a probe is dropped: servers, not clients, send probes (RFC 6121 §4.3).
        return element

    def sessionEnded(self, session: ISession) -> None:
        """Send unavailable presence to everyone who has presence of this session."""
        gone = stanza("presence", "unavailable", from_=session.fullText)
        if session.priority is not None:
            session.priority = session.presence = None
            self._broadcast(session, Rendered.of(gone))
        self._sendDirectedUnavailable(session, gone)

    def _trackDirected(self, session: ISession, to: JID) -> None:
        """
        Note that presence has been directed to an address (RFC 6121 §4.6.3).

        At the limit, it replaces the oldest address at the same bare JID, if there is one: a client that keeps changing
        its nick in a room directs presence to ever new addresses of that room.

        @raise StanzaError: C{resource-constraint} if it cannot be noted.
        """
        directed = session.directed
        full = to.full
        # Again: it comes last, as the latest nick in its room.
        known = directed.pop(full, None) is not None
        if not known and len(directed) >= self.directedLimit:
            for other in directed.values():
                if other.bare == to.bare:
                    del directed[other.full]
                    break
            else:
                raise StanzaError("resource-constraint", text="presence is directed to too many addresses")
        directed[full] = to

    def _broadcast(self, session: ISession, rendered: Rendered) -> None:
        """Send presence to the available resources of the account."""
        for other in self.parent.sessions.forAccount(session.account.bare).values():
            if other.priority is not None:
                other.deliver(rendered, toAttribute(other.fullText))

    def _available(self, session: ISession, element: Element) -> None:
        """
        Broadcast initial or updated presence to every available resource of the account, this one included (RFC 6121
        §4.2.2, §4.4.2). After the initial one, send back the presence of the others.
        """
        priorities = [child for child in element.childElements() if child.name == "priority" and child.uri == ns.CLIENT]
        priority = 0
        if priorities:
            text = priorities[0].text().strip()
            if len(priorities) > 1 or not _PRIORITY.fullmatch(text) or not -128 <= int(text) <= 127:
                raise StanzaError("bad-request", text="the priority of presence must be a number from -128 to 127")
            priority = int(text)
        presence = Rendered.of(element).withoutElement()
        if len(presence.tail) > _PRESENCE_LIMIT:
            raise StanzaError("policy-violation", text="the presence is too large")
        initial = session.priority is None
        if session.priority != priority:
            session.priority = priority
            session.prioritySince = self.parent.clock.seconds()
        session.presence = presence
        self._broadcast(session, presence)
        if initial:
            address = toAttribute(session.fullText)
            for other in self.parent.sessions.forAccount(session.account.bare).values():
                if other is not session and other.presence is not None:
                    session.deliver(other.presence, address)

    def _unavailable(self, session: ISession, element: Element) -> None:
        """
        Send unavailable presence to every available resource of the account, this one included (RFC 6121 §4.5.2), and
        to every address with directed presence (RFC 6121 §4.6.3).
        """
        rendered = Rendered.of(element)
        if session.priority is not None:
            self._broadcast(session, rendered)
            session.priority = session.presence = None
        cost = rendered.tail.count(b"<") + len(rendered.tail) // 256
        if cost * len(session.directed) > _UNAVAILABLE_COST_LIMIT:
            element = stanza("presence", "unavailable", from_=session.fullText)
        self._sendDirectedUnavailable(session, element)

    def _sendDirectedUnavailable(self, session: ISession, element: Element) -> None:
        directed, session.directed = session.directed, {}
        for to in directed:
            copied = element.copy()
            copied.attributes["to"] = to
            self.send(copied)

    outbound = {("presence", PRESENCE): onPresence}
